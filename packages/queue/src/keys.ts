import type { DeliveryStatus, FilePurpose } from '@promptmill/core';

/** What a tenant may have a number of at once. */
export type PlaceKind = 'uploads' | 'streams' | 'calls' | 'live-calls';

/** The names of all Redis keys that are not BullMQ's own, and the prefixes of BullMQ's keys. */
export const createKeys = (prefix: string) => {
  // A script writes a batch's keys and the results stream together, so all of them are in one slot of a cluster.
  const batchesTag = `${prefix}:{s0}`;
  const batchKey = (id: string): string => `${batchesTag}:batch:${id}`;
  // Keys of a deployment, `lane@deployment`, are in its lane's slot.
  const ofLane = (name: string): string => {
    const [lane, deployment] = name.split('@');
    return deployment === undefined ? `${prefix}:{q-${lane}}` : `${prefix}:{q-${lane}}@${deployment}`;
  };
  return {
    batch: batchKey,
    settledBits: (id: string) => `${batchKey(id)}:settled`,
    /** A bit for each request that repeats another and waits for a copy of its result. */
    repeatBits: (id: string) => `${batchKey(id)}:repeats`,
    /** A bit for each request that is handed off to its provider's batch API and has no result from there. */
    handedOffBits: (id: string) => `${batchKey(id)}:handed-off`,
    /** The plan and the state of each of the batch's shards. */
    shards: (id: string) => `${batchKey(id)}:shards`,
    segments: (id: string) => `${batchKey(id)}:segments`,
    /** Where some requests start in the input. */
    marks: (id: string) => `${batchKey(id)}:marks`,
    /** How far the batch was, now and then. */
    progress: (id: string) => `${batchKey(id)}:progress`,
    /** The bytes that each batch of a tenant has in its lanes. */
    bytesOfBatches: (tenant: string) => `${batchesTag}:bytes:${tenant}`,
    /** The sum for each tenant. */
    bytesOfTenants: `${batchesTag}:bytes`,
    /** What a tenant has used of each model in a day. */
    usage: (tenant: string, day: string) => `${batchesTag}:usage:${tenant}:${day}`,
    /** What a batch's calls cost on average, and what those in flight are expected to cost. */
    batchCosts: (id: string) => `${batchKey(id)}:costs`,
    /** Each call in flight with what it is expected to cost. */
    batchReserved: (id: string) => `${batchKey(id)}:reserved`,
    /** The same of all calls of a tenant. */
    tenantCosts: (tenant: string) => `${batchesTag}:costs:${tenant}`,
    tenantReserved: (tenant: string) => `${batchesTag}:reserved:${tenant}`,
    /** Every key that is named after a batch. */
    ofBatch: (id: string) =>
      [
        '',
        ':settled',
        ':repeats',
        ':handed-off',
        ':shards',
        ':segments',
        ':marks',
        ':progress',
        ':costs',
        ':reserved',
      ].map((part) => batchKey(id) + part),
    /** A channel, not a key. */
    deltas: (id: string) => `${batchKey(id)}:deltas`,
    /** The stream of results on their way to segments. */
    results: `${batchesTag}:results`,
    /** A call whose answer is kept. Its answer goes through the results stream, so it is in the same slot. */
    keptCall: (id: string) => `${batchesTag}:kept:${id}`,
    /** A tenant's kept calls that have no answer, and until when each counts. */
    keptUnderWay: (tenant: string) => `${batchesTag}:kept-under-way:${tenant}`,
    batchIndex: (tenant: string) => `${prefix}:{t-${tenant}}:batches`,
    file: (tenant: string, id: string) => `${prefix}:{t-${tenant}}:file:${id}`,
    /** What the upload of a file found. It is apart from the record, so that lists need not read it. */
    fileSummary: (tenant: string, id: string) => `${prefix}:{t-${tenant}}:file:${id}:summary`,
    fileIndex: (tenant: string) => `${prefix}:{t-${tenant}}:files`,
    /** The files of one purpose, each in the place it has among all. */
    purposeIndex: (tenant: string, purpose: FilePurpose) => `${prefix}:{t-${tenant}}:files:${purpose}`,
    /** An upload in parts. */
    upload: (tenant: string, id: string) => `${prefix}:{t-${tenant}}:upload:${id}`,
    /** The bytes of each of its parts. */
    uploadParts: (tenant: string, id: string) => `${prefix}:{t-${tenant}}:upload:${id}:parts`,
    /** The batches that need a file. */
    fileUses: (tenant: string, id: string) => `${prefix}:{t-${tenant}}:file:${id}:uses`,
    /** The requests of each active batch, and their sum. */
    activeBatches: (tenant: string) => `${prefix}:{t-${tenant}}:active`,
    /** The active batches whose creation may break off. */
    unfinishedBatches: (tenant: string) => `${prefix}:{t-${tenant}}:active:unfinished`,
    /** The sum of the tenant's files. */
    storedBytes: (tenant: string) => `${prefix}:{t-${tenant}}:bytes`,
    /** What is under way at once, and until when each counts. */
    places: (tenant: string, kind: PlaceKind) => `${prefix}:{t-${tenant}}:${kind}`,
    /** How many live calls each api process may hold for the tenant. */
    reservedLiveCalls: (tenant: string) => `${prefix}:{t-${tenant}}:live-calls:reserved`,
    /** Is never there: live calls leave nothing that lasts. */
    noLiveCalls: (tenant: string) => `${prefix}:{t-${tenant}}:live-calls:none`,
    reservedBytes: (tenant: string) => `${prefix}:{t-${tenant}}:bytes:reserved`,
    /** The sliding windows of a tenant's calls. */
    callLedger: (tenant: string) => `${prefix}:{t-${tenant}}:calls:ledger`,
    /** Where removed entries stood in their index, so that a listing can continue after them. */
    removed: (tenant: string) => `${prefix}:{t-${tenant}}:removed`,
    /** When those entries were removed. */
    removedTimes: (tenant: string) => `${prefix}:{t-${tenant}}:removed:times`,
    idempotency: (tenant: string, kind: 'batch' | 'file' | 'live', key: string) =>
      `${prefix}:{t-${tenant}}:idempotency:${kind}:${key}`,
    /** A tenant's webhooks by id. */
    webhooks: (tenant: string) => `${prefix}:{t-${tenant}}:webhooks`,
    /** One event of the tenant on its way to one URL. */
    delivery: (tenant: string, id: string) => `${prefix}:{t-${tenant}}:delivery:${id}`,
    /** The deliveries of a webhook by age: all, or those of one status. */
    deliveries: (tenant: string, webhookId: string, status: DeliveryStatus | 'all') =>
      `${prefix}:{t-${tenant}}:deliveries:${webhookId}:${status}`,
    /** The tenant's deliveries that are pending. */
    pendingDeliveries: (tenant: string) => `${prefix}:{t-${tenant}}:deliveries:pending`,
    /** The answers for the callers that one api process holds. */
    liveAnswers: (api: string) => `${prefix}:{l-${api}}:answers`,
    /** Is there as long as that api process lives. */
    liveApi: (api: string) => `${prefix}:{l-${api}}:alive`,
    /** The api processes that tell how many live calls they have. */
    liveApis: `${prefix}:live-apis`,
    liveCounts: (api: string) => `${prefix}:{l-${api}}:counts`,
    /** Is there when the caller of a live call, which a worker has, waits no longer. */
    hungUp: (api: string, id: string) => `${prefix}:{l-${api}}:hung-up:${id}`,
    /** A channel, not a key: the live calls whose caller waits no longer. */
    hangUps: `${prefix}:{live}:hang-ups`,
    /** Where answers of a tenant's batches are: the newest, and those before them. */
    answerPlaces: (tenant: string) => `${prefix}:{t-${tenant}}:answers`,
    olderAnswerPlaces: (tenant: string) => `${prefix}:{t-${tenant}}:answers:older`,
    /** The names of tenants that have made a file or a batch. */
    tenants: `${prefix}:tenants`,
    /** Changes whenever an API key is created or revoked. */
    apiKeysVersion: `${prefix}:api-keys`,
    /** Until when files and batches are kept. */
    due: `${prefix}:due`,
    /** The present turn of a lane. */
    laneTurn: (lane: string) => `${prefix}:{q-${lane}}:turn`,
    /** Where a tenant's line in a lane ends. */
    laneLine: (lane: string, tenant: string) => `${prefix}:{q-${lane}}:line:${tenant}`,
    /** Each tenant's lines in a lane, of batch requests and of live calls: period, weight and end. */
    laneLines: (lane: string) => `${prefix}:{q-${lane}}:lines`,
    /** A tenant's batches with requests in a lane: those that have come to its line's end, and those ahead of it. */
    laneBatchesBehind: (lane: string, tenant: string) => `${prefix}:{q-${lane}}:line-behind:${tenant}`,
    laneBatchesAhead: (lane: string, tenant: string) => `${prefix}:{q-${lane}}:line-ahead:${tenant}`,
    // The next seven are of a lane or of a deployment.
    /** The limits that are in force: as configured, but for those that an admin has changed. */
    laneLimits: (name: string) => `${ofLane(name)}:limits`,
    laneConfigured: (name: string) => `${ofLane(name)}:limits:configured`,
    laneChanged: (name: string) => `${ofLane(name)}:limits:changed`,
    laneState: (name: string) => `${ofLane(name)}:state`,
    /** What it remembers of refusals. */
    laneRefusals: (name: string) => `${ofLane(name)}:refusals`,
    /** The latest failures that told something of its provider, and when each was last. */
    laneErrors: (name: string) => `${ofLane(name)}:errors`,
    laneLedger: (name: string) => `${ofLane(name)}:ledger`,
    /** How many calls of a deployment may be in flight: the field `concurrency`, as in BullMQ's hash of a lane. */
    deploymentMeta: (deployment: string) => `${ofLane(deployment)}:meta`,
    /** The calls of a deployment that each process has in flight. */
    deploymentCalls: (deployment: string) => `${ofLane(deployment)}:calls`,
    /** How many calls each deployment of a lane may have in flight. */
    laneWidths: (lane: string) => `${prefix}:{q-${lane}}:widths`,
    /** BullMQ's own keys of a lane: its settings, and its jobs by state. */
    laneJobs: (
      lane: string,
      part:
        | 'meta'
        | 'marker'
        | 'active'
        | 'stalled'
        | 'stalled-check'
        | 'wait'
        | 'prioritized'
        | 'delayed'
        | 'completed'
        | 'failed',
    ) => `${prefix}:{q-${lane}}:${lane}:${part}`,
    laneJob: (lane: string, jobId: string) => `${prefix}:{q-${lane}}:${lane}:${jobId}`,
    /** BullMQ prefix of a queue; its own hash tag lets lanes spread over a cluster. */
    queuePrefix: (queue: string) => `${prefix}:{q-${queue}}`,
  };
};

export type Keys = ReturnType<typeof createKeys>;
