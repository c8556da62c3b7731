# syntax=docker/dockerfile:1
# The gateway as an image: one executable on distroless base, nobody's user, nothing written to the
# image. Build: docker build --build-arg ROUTEIQ_COMMIT=$(git rev-parse --short=12 HEAD) -t routeiq .
FROM node:22-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
COPY scripts/bootstrap.mjs scripts/
RUN node scripts/bootstrap.mjs install
COPY . .
ARG ROUTEIQ_COMMIT=unknown
RUN ROUTEIQ_COMMIT=$ROUTEIQ_COMMIT npm run build \
 && mkdir -p /out/data /out/config \
 && cp dist/routeiq /out/routeiq

# glibc, its loader and CA certificates: all that the executable asks for (and /proc, at run time).
FROM gcr.io/distroless/base-debian12:nonroot
COPY --from=build --chown=0:0 --chmod=0755 /out/routeiq /usr/local/bin/routeiq
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=0:0 /out/config /app/config
# Skills in Python: in an image of your own, COPY pyodide-….tar.zst /usr/local/bin/ (docs/skills.md).
COPY LICENSE /usr/share/doc/routeiq/LICENSE
USER 65532:65532
WORKDIR /data
# State lives in the volume alone, so the root file system may be read-only (--read-only).
ENV ROUTEIQ_DATA_DIR=/data LITELLM_HOST=0.0.0.0 PORT=4000 HOME=/data
VOLUME /data
EXPOSE 4000
# SIGTERM drains: readiness turns false, streams get up to 30 s.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["/usr/local/bin/routeiq", "doctor", "--live"]
# On a wide bind the gateway asks for a master key: -e LITELLM_MASTER_KEY=…
ENTRYPOINT ["/usr/local/bin/routeiq"]
CMD ["serve"]
