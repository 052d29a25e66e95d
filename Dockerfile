# The app for one server, on its CPU: docker build -t cnnviz . && docker run --rm -p 127.0.0.1:8501:8501 cnnviz
# Of a class behind a proxy with TLS: compose.yaml. docs/deploying.md says more.
FROM python:3.12-slim AS wheel
WORKDIR /project
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
# What opencv-python asks of the system.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 libxcb1 \
 && rm -rf /var/lib/apt/lists/*
# Without CUDA, which would be 4 GB: leave this line out for a server with a GPU.
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu "torch>=2.11,<2.16" "torchvision>=0.26"
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl && rm -rf /wheels
RUN useradd --create-home --home-dir /srv/cnnviz --uid 1000 cnnviz && install --directory --owner=cnnviz /srv/cnnviz/.cache
USER 1000
WORKDIR /srv/cnnviz
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=5)"]
CMD ["cnnviz", "app", "--host", "0.0.0.0", "--port", "8501", "--no-browser"]
