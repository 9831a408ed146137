# One image for every service, worker, job and command: what is run is said by the arguments of `ridehail`.
#
#   docker build -t ridehail .                                     servers and workers
#   docker build -t ridehail --build-arg EXTRAS="native archive" . and the archive of toll roads
#
# EXTRAS are installs of docs/production.md, by spaces. BASE is any Debian 12: its Python is the one that is tested.
ARG BASE=docker.io/library/debian:12.15-slim

FROM ${BASE} AS python
# tini: the first process of a container gets no signal that it does not handle, and `ridehail` handles them only once it
# has started; besides, somebody has to collect what children leave behind.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get upgrade --yes --no-install-recommends \
    && apt-get install --yes --no-install-recommends ca-certificates python3 tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log

FROM python AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && python3 -m venv /build \
    && python3 -m venv --without-pip /opt/ridehail
WORKDIR /source
ARG EXTRAS="native"
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all: PIP_ROOT_USER_ACTION=ignore
# Compiled here, since processes could not write what they compile: each would do so anew, for a second. By hashes that
# nobody checks: files' times may change on the way.
ENV COMPILE="-m compileall -q --invalidation-mode unchecked-hash"
# What the lock names changes seldom, so it has layers of its own.
COPY requirements.lock setup.cfg pyproject.toml ./
COPY deploy/image/locked_requirements.py ./
RUN python3 locked_requirements.py --build > build.txt \
    && python3 locked_requirements.py ${EXTRAS} > image.txt \
    && /build/bin/pip install --require-hashes --requirement build.txt \
    && /build/bin/pip --python /opt/ridehail/bin/python install --require-hashes --no-compile --requirement image.txt \
    && python3 ${COMPILE} /opt/ridehail/lib
COPY . .
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /build/wheel . \
    && /build/bin/pip --python /opt/ridehail/bin/python install --no-deps --no-index --no-compile /build/wheel/*.whl \
    && python3 ${COMPILE} /opt/ridehail/lib/python3*/site-packages/ridehail* \
    && /opt/ridehail/bin/ridehail --version

FROM python
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="ridehail" \
    org.opencontainers.image.description="The order back end of a ride-hailing super-app: servers, workers, migrations." \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.created="${CREATED}"
# What may be mounted belongs to the user: a new volume takes that over.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ridehail \
    && install --directory --owner ridehail --group ridehail --mode 0700 /keys /passwords /gateway /archive
COPY --from=build /opt/ridehail /opt/ridehail
ENV PATH=/opt/ridehail/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    RIDEHAIL_HOST=0.0.0.0 \
    RIDEHAIL_METRICS_HOST=0.0.0.0 \
    RIDEHAIL_KEYS_DIR=/keys
USER 10001:10001
WORKDIR /
EXPOSE 50051 9464 9465
# SIGTERM drains, for as long as `server.yaml` says: see docs/operations.md. No HEALTHCHECK: servers are asked by
# `ridehail health`, and what is no server would look ill for ever; compose.yaml says who is asked.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--", "ridehail"]
CMD ["--help"]
