# The doorbell as an image, for x86-64 and arm64; docs/container.md tells how to build and start it.
#
#   BASE  a Debian or Ubuntu with Python 3.10 to 3.14 in its packages; on a Jetson, or for another
#         NVIDIA GPU, one of NVIDIA's images that has CUDA's compiler and TensorRT's Python module
#   GPU   "nvidia" there: pycuda is compiled, and the base's TensorRT is seen
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
ARG GPU=""
WORKDIR /src
COPY tools/setup.sh tools/
COPY tools/requirements tools/requirements
SHELL ["/bin/bash", "-c"]
RUN . tools/setup.sh \
    && venv=/opt/doorbell/.venv \
    && need_python \
    && need_what_builds_the_sound_player \
    && if [ "$GPU" = nvidia ]; then need g++ "builds pycuda" command -v g++; need_compiler "builds pycuda"; fi \
    && install_packages \
    && make_venv \
    && if [ "$GPU" = nvidia ]; then \
        PATH=/usr/local/cuda/bin:$PATH CUDA_ROOT=/usr/local/cuda install_locked jetson; \
    else \
        install_locked demo; \
    fi
COPY pyproject.toml README.md LICENSE ./
COPY models/manifest.toml models/
COPY doorbell doorbell
RUN . tools/setup.sh \
    && venv=/opt/doorbell/.venv \
    && pip_install --no-deps --no-build-isolation . \
    && if [ "$GPU" = nvidia ]; then \
        python3 -c 'import site; print(*site.getsitepackages(), sep="\n")' \
            >"$(echo "$venv"/lib/python3.*/site-packages)/system.pth"; \
    fi

FROM ${BASE} AS doorbell
SHELL ["/bin/bash", "-c"]
RUN --mount=type=bind,from=build,source=/src/tools,target=/src/tools \
    . /src/tools/setup.sh \
    && need python3 "Python" command -v python3 \
    && need ca-certificates "fetches the models" test -e /etc/ssl/certs/ca-certificates.crt \
    && need_libraries \
    && install_packages \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
# Users of its own, whose numbers are the same in every image: volumes keep them.
RUN groupadd --gid 8480 doorbell \
    && groupadd --gid 8481 doorbell-console \
    && groupadd --gid 8482 doorbell-control \
    && useradd --uid 8480 --gid doorbell --groups audio,video,doorbell-control \
        --home-dir /var/lib/doorbell --no-create-home --shell /usr/sbin/nologin doorbell \
    && useradd --uid 8481 --gid doorbell-console --groups doorbell-control \
        --home-dir /var/lib/doorbell-console --no-create-home --shell /usr/sbin/nologin doorbell-console \
    && install --directory --mode 700 --owner doorbell --group doorbell \
        /var/lib/doorbell /var/cache/doorbell /var/cache/doorbell/models \
    && install --directory --mode 711 --owner doorbell --group doorbell /run/doorbell \
    && install --directory --mode 700 --owner doorbell-console --group doorbell-console \
        /var/lib/doorbell-console \
    && install --directory --mode 755 /etc/doorbell
COPY --from=build /opt/doorbell /opt/doorbell
COPY --chmod=755 config/container/start /opt/doorbell/start
COPY --chmod=644 config/container/settings/daemon/doorbell.toml /etc/doorbell/doorbell.toml
ENV PATH=/opt/doorbell/.venv/bin:$PATH \
    HOME=/var/lib/doorbell \
    XDG_CACHE_HOME=/var/cache/doorbell \
    DOORBELL_MODELS_DIRECTORY=/var/cache/doorbell/models \
    MALLOC_ARENA_MAX=1 \
    OPENBLAS_NUM_THREADS=1 \
    PYTHONDONTWRITEBYTECODE=1
USER doorbell
WORKDIR /var/lib/doorbell
# The first start fetches the models, and builds engines where there is a GPU.
HEALTHCHECK --interval=30s --timeout=30s --start-period=15m --retries=3 CMD ["doorbell", "status"]
ENTRYPOINT ["/opt/doorbell/start"]
CMD ["run"]
