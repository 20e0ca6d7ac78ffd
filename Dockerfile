# Each role is a target on top of one common stage:
#   docker build --target worker .        (api, worker, collector, simulator; init makes docker-compose's secrets)

# Another registry's copy: --build-arg NODE_IMAGE=…
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

# Only the manifests, so that the packages are installed again only when one of these changes.
FROM ${NODE_IMAGE} AS manifests
WORKDIR /app
COPY . .
RUN find apps packages -type f ! -name package.json -delete

FROM ${NODE_IMAGE} AS packages
WORKDIR /app
RUN npm install --global --no-audit --no-fund pnpm@12.21.0
COPY --from=manifests /app ./
RUN pnpm install --prod --frozen-lockfile \
      --filter '@promptmill/api...' --filter '@promptmill/worker...' \
      --filter '@promptmill/collector...' --filter '@promptmill/simulator...' --filter '@promptmill/cli...'

# Node runs the TypeScript as it is. Its user can write to /data, and to nothing under /app.
FROM ${NODE_IMAGE} AS promptmill
ENV NODE_ENV=production HOST=0.0.0.0 PROMPTMILL_DATA_DIR=/data
WORKDIR /app
RUN mkdir -p /data /secrets/api /secrets/roles /secrets/redis && chown -R node:node /data /secrets
COPY --from=packages /app ./
COPY . .
USER node

FROM promptmill AS worker
ENV PORT=3001
CMD ["node", "apps/worker/src/main.ts"]

FROM promptmill AS collector
ENV PORT=3002
CMD ["node", "apps/collector/src/main.ts"]

FROM promptmill AS init
CMD ["node", "deploy/make-secrets.ts"]

FROM promptmill AS simulator
ENV PORT=8089
EXPOSE 8089
CMD ["node", "apps/simulator/src/main.ts"]

FROM promptmill AS api
ENV PORT=3000
EXPOSE 3000
CMD ["node", "apps/api/src/main.ts"]
