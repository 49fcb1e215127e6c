"""The Slimcast camera client: runs an artifact on camera frames and takes new ones over MQTT.

What a Raspberry Pi installs. Imports neither torch nor the studio; the studio imports this package for the
wire protocol (`wire`), the artifact format (`artifact`) and the runtime that all latencies are measured with.
"""

__version__ = "0.1.0"
