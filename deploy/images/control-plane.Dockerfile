# The control plane: web, worker, tick, intake, migrate, one image. See docs/production.md.
ARG BASE=docker.io/library/python:3.11-slim-bookworm
FROM ${BASE} AS build
WORKDIR /build
RUN python3 -m venv /opt/venv
COPY deploy/images/control-plane.lock deploy/images/trim ./
RUN /opt/venv/bin/pip install --no-cache-dir --no-compile --require-hashes -r control-plane.lock \
 && /opt/venv/bin/pip uninstall -y -q pip setuptools \
 && ./trim /opt/venv
WORKDIR /app
COPY manage.py ./
COPY controlplane controlplane
COPY registry registry
COPY monitoring monitoring
COPY rollouts rollouts
COPY templates templates
COPY deploy/__init__.py deploy/files.py deploy/
COPY deploy/fleet deploy/fleet
COPY deploy/gateway deploy/gateway
COPY deploy/serving deploy/serving
RUN find . -name tests -type d -prune -exec rm -rf {} + \
 && SLIPWAY_HOME=/tmp/build SLIPWAY_STATIC_ROOT=/app/static /opt/venv/bin/python manage.py collectstatic --noinput -v 0 \
 && find /opt/venv/lib -path '*-packages/*/static' -type d ! -path '*/celery/*' -prune -exec rm -rf {} +

FROM ${BASE}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title=slipway org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION} org.opencontainers.image.licenses=Apache-2.0
# Models that take texts apart ask ONNX Runtime for the locale en_US.UTF-8; C.UTF-8 knows the same letters.
RUN if [ -e /usr/lib/locale/C.utf8 ] && [ ! -e /usr/lib/locale/en_US.utf8 ]; then ln -s C.utf8 /usr/lib/locale/en_US.utf8; fi
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
COPY deploy/images/entrypoint /usr/local/bin/slipway
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1 \
    SLIPWAY_HOME=/var/lib/slipway SLIPWAY_STATIC_ROOT=/app/static SLIPWAY_RELEASE=${VERSION}+${REVISION}
RUN mkdir -p /var/lib/slipway && chown 10001:10001 /var/lib/slipway
WORKDIR /app
USER 10001:10001
EXPOSE 8000
VOLUME /var/lib/slipway
ENTRYPOINT ["slipway"]
CMD ["web"]
