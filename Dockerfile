# docker build -t webhook-bridge .
ARG BUILD_IMAGE=golang:1.26
ARG RUN_IMAGE=gcr.io/distroless/static-debian12:nonroot

# Go cross-compiles, so the compiler itself never needs to be emulated.
FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
# The source is bound, not copied; with its .git, from which Go stamps the version into the binary.
RUN --mount=type=bind,target=. \
    --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w" -o /out/bridge ./cmd/bridge && mkdir /out/data

FROM ${RUN_IMAGE}
COPY --from=build /out/bridge /bridge
# A new volume takes over this folder's owner; without it, only root could write there.
COPY --from=build --chown=65532:65532 /out/data /data
# NATS_URL: without it the bridge would keep a private NATS in the container, and nobody would notice.
ENV NATS_URL=nats://nats:4222 \
    DATA_DIR=/data
# Events that were accepted and wait for NATS outlive the container.
VOLUME /data
EXPOSE 8080 9090
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/bridge", "health"]
ENTRYPOINT ["/bridge"]
