# One file, two images: `operator` watches SecureModels; `worker` is one of three parties, and the sharing job too.
#
#     docker build --target operator -t triveni-operator .
#     buildah build --target worker -t triveni-worker .
#
# What changes seldom comes first: Debian, then the locked requirements, triveni itself last, so that a change of its
# code builds in seconds and ships in one small layer. Nothing that installs or compiles is in a finished image, no shell
# either, and nothing with a setuid bit: it starts from nothing but the files that image/lean.py picks out.

FROM docker.io/library/debian:bookworm-slim AS runtime
# Where packages come from is the machine's matter, not the image's: files that say so can be given, for the build only.
ARG APT_CONFIG
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3 ca-certificates >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*.log /var/log/apt \
    && useradd --uid 65532 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin triveni
ENV PATH=/opt/triveni/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.vendor="Triveni" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"


FROM runtime AS lean
COPY image/lean.py /build/
RUN python3 /build/lean.py /lean /build/packages.json


FROM runtime AS build
ARG APT_CONFIG
ARG PIP_CONFIG_FILE
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        gcc libc6-dev python3-dev python3-venv >/dev/null
COPY requirements/bootstrap.lock /build/
RUN python3 -m venv /build/venv \
    && /build/venv/bin/python -m pip install -q --no-cache-dir --no-deps --require-hashes -r /build/bootstrap.lock \
    && python3 -m venv --without-pip /opt/triveni
# Byte code that is trusted as it is: the file system will be read-only, and the sources cannot change under it.
ENV COMPILE="python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash"


FROM build AS operator-requirements
ARG PIP_CONFIG_FILE
COPY requirements/operator.lock /build/
# The operator computes nothing: numpy, which every other role needs, stays out. No byte code for the thousands of
# classes that the Kubernetes client generates and the operator never loads.
RUN /build/venv/bin/python -m pip --python /opt/triveni/bin/python install -q --no-cache-dir --no-compile \
        --no-deps --require-hashes -r /build/operator.lock \
    && /build/venv/bin/python -m pip --python /opt/triveni/bin/python uninstall -q -y numpy \
    && $COMPILE -x '/kubernetes/.*client/(api|models)/' /opt/triveni/lib


FROM build AS worker-requirements
ARG PIP_CONFIG_FILE
COPY requirements/worker.lock /build/
# Left out of what TensorFlow brings: symbols that nobody debugs, what only compiling against it needs, and a parser of C
# that it never calls.
RUN /build/venv/bin/python -m pip --python /opt/triveni/bin/python install -q --no-cache-dir --no-compile \
        --no-deps --require-hashes -r /build/worker.lock \
    && cd /opt/triveni/lib/python3*/site-packages \
    && strip --strip-unneeded tensorflow/libtensorflow_cc.so.2 tensorflow/libtensorflow_framework.so.2 \
    && rm -r tensorflow/include clang \
    && find . -name '*.a' -delete \
    && find ./numpy -type d -name tests -prune -exec rm -r {} + \
    && $COMPILE .


FROM build AS source
COPY pyproject.toml README.md LICENSE /build/
COPY operator /build/operator
# Without its kernel triveni works, slower; an image without it would be a mistake.
RUN /build/venv/bin/python -m pip install -q --no-cache-dir --no-compile --no-deps --no-build-isolation \
        --target /source /build \
    && ls /source/triveni/mpc/execute/_kernel*.so >/dev/null \
    && rm -r /source/bin \
    && $COMPILE /source


# What each image holds, Debian's packages and Python's, in the image itself.
FROM operator-requirements AS operator-sbom
COPY --from=source /source /source
COPY --from=lean /build/packages.json /build/
COPY image/sbom.py /build/
RUN mkdir -p /sbom/usr/share/triveni \
    && python3 /build/sbom.py triveni-operator /build/packages.json /opt/triveni/lib/python3.11/site-packages /source \
        > /sbom/usr/share/triveni/sbom.cdx.json


FROM worker-requirements AS worker-sbom
COPY --from=source /source /source
COPY --from=lean /build/packages.json /build/
COPY image/sbom.py /build/
RUN mkdir -p /sbom/usr/share/triveni \
    && python3 /build/sbom.py triveni-worker /build/packages.json /opt/triveni/lib/python3.11/site-packages /source \
        > /sbom/usr/share/triveni/sbom.cdx.json


FROM scratch AS finished
COPY --from=lean /lean /
ENV PATH=/opt/triveni/bin:/usr/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.vendor="Triveni" \
      org.opencontainers.image.licenses="Apache-2.0"


FROM finished AS operator
LABEL org.opencontainers.image.title="triveni-operator" \
      org.opencontainers.image.description="Watches SecureModels and keeps their workers"
COPY --from=operator-requirements /opt/triveni /opt/triveni
COPY --from=source /source /opt/triveni/lib/python3.11/site-packages
COPY --from=operator-sbom /sbom /
USER 65532:65532
ENTRYPOINT ["python", "-m", "triveni.controller"]


FROM finished AS worker
LABEL org.opencontainers.image.title="triveni-worker" \
      org.opencontainers.image.description="One of three parties that answer private predictions; also the sharing job"
COPY --from=worker-requirements /opt/triveni /opt/triveni
COPY --from=source /source /opt/triveni/lib/python3.11/site-packages
COPY --from=worker-sbom /sbom /
ENV HOME=/tmp
USER 65532:65532
CMD ["python", "-m", "triveni.worker"]
