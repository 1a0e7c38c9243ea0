# One image for every process. Target `cpu` (the default) holds no torch; target `gpu` adds it, for CUDA.
ARG PYTHON=3.12-slim-bookworm

FROM python:${PYTHON} AS build
ENV UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements/uv.txt requirements/serve.txt requirements/
RUN python -m venv .venv \
    && .venv/bin/pip install --quiet --require-hashes -r requirements/uv.txt \
    && .venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements/serve.txt
COPY pyproject.toml README.md ./
COPY screening screening
COPY worker worker
COPY web web
COPY migrations migrations
COPY checkpoints checkpoints
RUN .venv/bin/uv pip install --python .venv/bin/python --no-deps --no-build-isolation \
    --config-settings editable_mode=compat -e .

FROM build AS build-gpu
COPY requirements/gpu.txt requirements/
RUN .venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements/gpu.txt

FROM python:${PYTHON} AS base
RUN useradd --system --uid 10001 --home-dir /data screening && install -d -o screening -g screening -m 0700 /data
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    MALLOC_ARENA_MAX=2 \
    MALLOC_MMAP_THRESHOLD_=33554432 \
    MALLOC_TRIM_THRESHOLD_=33554432 \
    SCREENING_DATA_DIR=/data \
    SCREENING_CHECKPOINT_DIR=/app/checkpoints
WORKDIR /data
USER screening
VOLUME /data

FROM base AS gpu
COPY --from=build-gpu /app /app

FROM base AS cpu
COPY --from=build /app /app
