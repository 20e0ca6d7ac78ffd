export type { CallFailure, CallResult, CallSuccess } from './call-result.ts';
export type { FailureClass, FailureCode } from './classify-answer.ts';
export {
  type CallRequest,
  createProviderClient,
  type ProviderClient,
  type ProviderClientOptions,
} from './provider-client.ts';
