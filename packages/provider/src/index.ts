export type { AnswerDelta } from './assemble-stream.ts';
export type { CallFailure, CallResult, CallSuccess, EmbedResult, Look, ModelList } from './call-result.ts';
export { type FailureClass, type FailureCode, type LaneSignal, laneSignalOf } from './classify-answer.ts';
export { type CountTokens, inputCharactersOf, openTokenCounter, outputLimitOf } from './count-tokens.ts';
export { type EmbeddingInputs, embeddingInputsOf, guessTokens } from './embeddings.ts';
export type { ModelEstimate } from './estimate/estimate-model.ts';
export { countSampled, createEstimateRequests, sumEstimates } from './estimate/estimate-requests.ts';
export { addSamples, measureRequests, type Samples } from './estimate/measure-requests.ts';
export { promptStartOf } from './prompt-start.ts';
export {
  BatchApiError,
  type BatchApiClient,
  createBatchApiClient,
  type ProviderBatch,
} from './batch-api/batch-api-client.ts';
export { type BatchLine, readBatchLine } from './batch-api/batch-line.ts';
export { createPriceList, type PriceList } from './price-list.ts';
export {
  type CallRequest,
  createProviderClient,
  type ProviderClient,
  type ProviderClientOptions,
  type StreamStart,
} from './provider-client.ts';
export { type AnswerCheck, createAnswerCheck } from './schema/check-answer.ts';
export { createSchemaChecker } from './schema/schema-checker.ts';
export { openTokenEstimator, type TokenEstimator } from './token-estimator.ts';
