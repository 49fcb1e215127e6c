# Two images from one file:
#   docker build --target studio -t slimcast-studio .     the web app, with the engine
#   docker build --target edge   -t slimcast-edge .       the camera client alone
# The layer of dependencies comes first, so that a change of our code does not install PyTorch again.

FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --create-home --uid 10001 slimcast
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
# Empty packages are enough to install everything that pyproject.toml names.
RUN mkdir -p compression/slimcast edge_client/slimcast_edge webapp/slimcast_web examples/recipes \
 && touch compression/slimcast/__init__.py edge_client/slimcast_edge/__init__.py webapp/slimcast_web/__init__.py

FROM base AS studio
RUN pip install -c constraints.txt ".[studio]" && pip uninstall -y slimcast
COPY compression compression
COPY edge_client edge_client
COPY webapp webapp
COPY examples examples
RUN pip install --no-deps . && mkdir -p /data && chown slimcast /data
USER slimcast
ENV SLIMCAST_HOME=/data SLIMCAST_DATA_ROOT=/data/datasets SLIMCAST_HOST=0.0.0.0
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/healthz', timeout=2)"]
CMD ["slimcast", "app"]

FROM base AS edge
RUN pip install -c constraints.txt . && pip uninstall -y slimcast
COPY edge_client edge_client
COPY compression/slimcast/__init__.py compression/slimcast/
COPY webapp/slimcast_web/__init__.py webapp/slimcast_web/
RUN pip install --no-deps . && mkdir -p /data && chown slimcast /data
USER slimcast
VOLUME /data
# Says only that the client is the process that runs; whether frames flow is in its telemetry.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import sys; sys.exit('slimcast-edge' not in open('/proc/1/cmdline').read())"]
CMD ["slimcast-edge", "run", "--config", "/data/edge.toml"]
