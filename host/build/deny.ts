/** Keeping a program from the cache or a translator, and saying whether that counts on this machine. */
import type { DenyAddRequest, DenyList } from '../../guest/translation-protocol.ts';
import type { AgentClient } from '../channel/agent-client.ts';

export interface Denied {
  readonly list: DenyList;
  /** Whether programs are kept from anything by the list. */
  readonly counts: boolean;
  /** What became of the program, a sentence for people. */
  readonly effect: string;
}

/** Adds a row to the list. Throws what the agent refuses it with. */
export async function deny(
  agent: Pick<AgentClient, 'denyAdd' | 'execCounts' | 'health'>,
  request: DenyAddRequest,
): Promise<Denied> {
  const list = await agent.denyAdd(request);
  const { program = `the program with build-id ${request.buildId}`, from } = request;
  const avoided = from === 'cache' ? 'the cache' : from;
  // A translator that the kernel starts itself asks nobody: the list counts only where the router stands before it. Where
  // no translator is registered yet, nothing is known.
  const { counted } = await agent.execCounts();
  const counts = counted || (await agent.health()).translator.active === undefined;
  const effect = counts
    ? `${program} is kept from ${avoided} from now on (\`cache deny list\`).`
    : `${program} would be kept from ${avoided} if \`rosetta: {router: true}\` were set; it is noted (\`cache deny list\`).`;
  return { list, counts, effect };
}
