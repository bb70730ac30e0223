# docker build -t webhook-bridge .          (with BuildKit; `make image` also labels the commit)
ARG BUILD_IMAGE=golang:1.26
ARG RUN_IMAGE=gcr.io/distroless/static-debian12:nonroot

# Go cross-compiles, so the compiler itself never needs to be emulated.
FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS build
ARG TARGETOS TARGETARCH
# A release's version. Without one the binary's version is its commit.
ARG VERSION=
# The same commit on the same base image gives the same layers, with the same file times. BuildKit
# since 0.11 also takes this as the image's time.
ARG SOURCE_DATE_EPOCH=0
WORKDIR /src
# grpcnotrace leaves out golang.org/x/net/trace, which gRPC in OTLP's packages links: 5 MB less.
# The source is mounted, not copied. It includes .git, from which Go stamps the commit into the binary.
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
      org.opencontainers.image.description="Verifies webhooks, and makes them durable events in NATS JetStream" \
      org.opencontainers.image.source="https://github.com/ade15e70/webhook-bridge" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.base.name="$RUN_IMAGE"
COPY --from=build /out/bridge /bridge
# A new volume takes the owner of /data; otherwise only root could write to it. Copying the parent
# directory keeps the time of /data.
COPY --from=build --chown=65532:65532 /out/volumes/ /
# Without NATS_URL the bridge would run an embedded NATS in the container, and nobody would notice.
ENV NATS_URL=nats://nats:4222 \
    DATA_DIR=/data
# The spool: events that wait for NATS outlive the container.
VOLUME /data
EXPOSE 8080 9090
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/bridge", "health"]
ENTRYPOINT ["/bridge"]
