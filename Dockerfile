# Builds comfy-inventory from this checkout. docs/docker.md says how to run it.

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY docs/man docs/man
COPY scanner scanner
RUN python -m venv /opt/comfy-inventory
RUN /opt/comfy-inventory/bin/python -m pip install --no-cache-dir --disable-pip-version-check .

FROM python:3.13-slim
COPY --from=build /opt/comfy-inventory /opt/comfy-inventory
# Any other user may be named with --user, if /data is theirs.
RUN install --directory --owner=1000 --group=1000 /data
ENV PATH=/opt/comfy-inventory/bin:$PATH
# The inventory, the state and the settings file comfy_inventory.toml lie in /data.
ENV HOME=/data XDG_STATE_HOME=/data COMFY_INVENTORY_OUTPUT=/data/comfy_inventory.json
WORKDIR /data
USER 1000:1000
VOLUME /data
# Healthy means that the program runs. A folder that is away does not make it unhealthy.
HEALTHCHECK --interval=1m --timeout=30s --start-period=10m CMD comfy-inventory status --quiet
ENTRYPOINT ["comfy-inventory"]
CMD ["run"]
