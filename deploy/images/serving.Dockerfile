# The model server. VARIANT=cuda brings CUDA 13 and cuDNN 9 as packages; the host has the driver, and NVIDIA's container runtime.
ARG BASE=docker.io/library/python:3.11-slim-bookworm
FROM ${BASE} AS build
ARG VARIANT=cpu
WORKDIR /build
RUN python3 -m venv /opt/venv
COPY deploy/images/serving.lock deploy/images/serving-cuda.lock deploy/images/trim ./
RUN if [ "$VARIANT" = cuda ]; then lock=serving-cuda.lock; else lock=serving.lock; fi \
 && /opt/venv/bin/pip install --no-cache-dir --no-compile --require-hashes -r "$lock" \
 && /opt/venv/bin/pip uninstall -y -q pip setuptools \
 && ./trim /opt/venv
WORKDIR /app/deploy
COPY deploy/__init__.py deploy/files.py ./
COPY deploy/serving serving
RUN rm -rf serving/tests

FROM ${BASE}
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG VARIANT=cpu
LABEL org.opencontainers.image.title=slipway-serving org.opencontainers.image.version=${VERSION}-${VARIANT} \
      org.opencontainers.image.revision=${REVISION} org.opencontainers.image.licenses=Apache-2.0
# Models that take texts apart ask ONNX Runtime for the locale en_US.UTF-8; C.UTF-8 knows the same letters.
RUN if [ -e /usr/lib/locale/C.utf8 ] && [ ! -e /usr/lib/locale/en_US.utf8 ]; then ln -s C.utf8 /usr/lib/locale/en_US.utf8; fi
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /app
USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["python", "-m", "deploy.serving"]
