ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/build && python -m venv --without-pip /opt/bessai
COPY requirements/build.lock requirements/runtime.lock requirements/
# Wheels only: the image has no compiler, and no package's own code runs while it is built.
RUN /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements/build.lock \
 && /opt/build/bin/pip --python /opt/bessai/bin/python install --require-hashes --only-binary :all: \
    -r requirements/runtime.lock
COPY LICENSE README.md pyproject.toml ./
COPY actors actors
COPY bessai bessai
COPY config config
COPY supervision supervision
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
 && /opt/build/bin/pip --python /opt/bessai/bin/python install --no-deps /dist/*.whl

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="BESSAI Edge Gateway" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 bessai \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/bessai --shell /usr/sbin/nologin bessai \
 && install -d -o 10001 -g 10001 -m 0750 /var/lib/bessai
COPY --from=build /opt/bessai /opt/bessai
ENV PATH=/opt/bessai/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    BESSAI_STATE_DIR=/var/lib/bessai \
    HEALTH_HOST=0.0.0.0 \
    HEALTH_PORT=8000
USER 10001:10001
WORKDIR /var/lib/bessai
VOLUME ["/var/lib/bessai"]
EXPOSE 8000
STOPSIGNAL SIGTERM
# 200 means that safety is being enforced, also where other parts are degraded; anything else raises and exits with 1.
HEALTHCHECK --interval=10s --timeout=4s --start-period=20s --retries=3 CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('HEALTH_PORT', '8000') + '/health', timeout=3)"]
ENTRYPOINT ["bessai"]
CMD ["run"]
