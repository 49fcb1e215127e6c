"""Home Assistant's side of a broker, as far as the tests look."""

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from support_wait import wait_for


class Home:
    """What Home Assistant's side of the broker shows."""

    def __init__(self, url):
        self.retained, self.states, self.pictures, self.subscribed = {}, [], [], []
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="home")
        self.client.on_connect = lambda client, *_: client.subscribe(
            [("homeassistant/#", 1), ("slimcast/v1/#", 0)]
        )
        self.client.on_subscribe = lambda *_: self.subscribed.append(True)
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", int(url.rpartition(":")[2]))
        self.client.loop_start()
        wait_for(lambda: self.subscribed)

    def _on_message(self, _client, _data, message):
        if message.topic.startswith("homeassistant/"):
            self.retained[message.topic] = message.payload
        elif message.topic.endswith("/summary"):
            self.states.append(message.payload)
        elif message.topic.endswith("/frame"):
            self.pictures.append(message.payload)

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()
