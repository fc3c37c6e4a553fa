/** rosetta-vm as a library. */
export type {
  AgentErrorBody,
  CacheStatus,
  EngineStatus,
  ExecRequest,
  ExitStatus,
  Health,
  LogLine,
  TranslatorName,
  TranslatorStatus,
} from '../guest/protocol.ts';
export type {
  CachePruneRequest,
  CachePruneResult,
  CacheStats,
  CacheVerifyResult,
} from '../guest/translation-protocol.ts';
export type { ImageRecord } from '../images/image.ts';
export { buildBaseRoot, buildImage, deleteImage, findImage, listImages } from '../images/index.ts';
export { type BuildEvent, type BuildOptions, type BuildResult, runBuild } from './build/build.ts';
export type { StepReport } from './build/explain.ts';
export type { BuildOutput, BuildRequest, BuildSecret, NamedContext } from './build/request.ts';
export type { BuildStep } from './build/steps.ts';
export type { AgentClient, ExecSession, Hold } from './channel/agent-client.ts';
export type { PublishedPort } from './docker/ports.ts';
export { diagnose, ensureHost } from './doctor/index.ts';
export { installPackages } from './doctor/packages.ts';
export type { Capability, Driver, HostCapabilities, VirtualMachine } from './drivers/driver.ts';
export { type ErrorCode, RosettaVmError } from './errors.ts';
export type { DeletionItem, DryRun, MachineState, MachineStatus } from './machine/machine.ts';
export type { Machines, UpOptions } from './machine/machines.ts';
export { openMachines } from './machine/open-machines.ts';
export { type StatePaths, statePaths } from './paths.ts';
export type { MachinePlan } from './plan/plan.ts';
export type { ProgressEvent, ProgressSink } from './progress.ts';
export { loadSpec } from './spec/load.ts';
export { type MachineSpec, type MachineSpecInput, parseSpec, specJsonSchema } from './spec/spec.ts';
export { version } from './version.ts';
