# docker build -t webhook-bridge .          (BuildKit; `make image` says which commit it is of, too)
ARG BUILD_IMAGE=golang:1.26
ARG RUN_IMAGE=gcr.io/distroless/static-debian12:nonroot

# Go cross-compiles, so the compiler itself never needs to be emulated.
FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS build
ARG TARGETOS TARGETARCH
# A release's name. Without one the binary says the commit that it was built from.
ARG VERSION=
# The same commit on the same base image gives the same layers, the files' times included; a BuildKit that
# knows this argument (0.11) puts it into the image's own time, too.
ARG SOURCE_DATE_EPOCH=0
WORKDIR /src
# grpcnotrace leaves out golang.org/x/net/trace, which OTLP's packages would link for gRPC, and with it 5 MB.
# The source is bound, not copied; with its .git, from which Go stamps the commit into the binary.
RUN --mount=type=bind,target=. \
    --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -tags grpcnotrace -ldflags "-s -w -X github.com/ade15e70/webhook-bridge/internal/cli.release=$VERSION" -o /out/bridge ./cmd/bridge && \
    mkdir -p /out/volumes/data && touch -d "@$SOURCE_DATE_EPOCH" /out/bridge /out/volumes/data

FROM ${RUN_IMAGE}
ARG RUN_IMAGE
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="webhook-bridge" \
      org.opencontainers.image.description="Receives the webhooks of Flock and Frigade and publishes them to NATS JetStream" \
      org.opencontainers.image.source="https://github.com/ade15e70/webhook-bridge" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.base.name="$RUN_IMAGE"
COPY --from=build /out/bridge /bridge
# A new volume takes over the owner of /data; without it, only root could write there. Copied from
# one level up, a directory keeps its time.
COPY --from=build --chown=65532:65532 /out/volumes/ /
# NATS_URL: without it the bridge would keep a private NATS in the container, and nobody would notice.
ENV NATS_URL=nats://nats:4222 \
    DATA_DIR=/data
# Events that were accepted and wait for NATS outlive the container.
VOLUME /data
EXPOSE 8080 9090
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/bridge", "health"]
ENTRYPOINT ["/bridge"]
