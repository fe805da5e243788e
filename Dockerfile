# fercli on the CPU: docker build -t fercli . && docker run --rm -v "$PWD:/data" fercli detect photographs faces
FROM python:3.12-slim

# OpenCV's wheel draws windows too, so it wants OpenGL and GLib.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /fercli
COPY requirements-uv.lock requirements.lock pyproject.toml README.md LICENSE ./
COPY fercli fercli
# torch without CUDA is some 5 GB smaller. Its builds have versions and hashes of their own: the lock is a constraint.
RUN pip install --no-cache-dir --require-hashes -r requirements-uv.lock \
    && uv pip install --system --no-cache --torch-backend cpu --constraint requirements.lock .

RUN useradd --create-home user
USER user
WORKDIR /data
ENTRYPOINT ["fer"]
CMD ["--help"]
