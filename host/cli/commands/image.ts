/** `rosetta-vm image`: guest images, and base images for Dockerfiles. */
import { Command, Option } from 'commander';
import type { Architecture } from '../../../images/debian/archive.ts';
import { KERNEL_SERIES, type KernelSeries, NEWEST_KERNEL } from '../../../images/kernels.ts';
import { formatSize } from '../../spec/units.ts';
import { confirm } from '../confirm.ts';
import type { CommandContext } from '../context.ts';
import { formatAge } from '../format.ts';
import { jsonOption, mirrorOption, yesOption } from '../options.ts';
import { renderTable } from '../table.ts';

export function imageCommand(context: CommandContext): Command {
  return new Command('image')
    .summary('build, list and delete guest images')
    .description('Guest images: kernel, root file system and translators, built from verified Debian packages.')
    .addCommand(buildCommand(context))
    .addCommand(baseCommand(context))
    .addCommand(listCommand(context))
    .addCommand(deleteCommand(context));
}

const library = () => import('../../../images/index.ts');

const BUILD_EXAMPLES = `
\`up\` builds the image itself when there is none. What was downloaded is kept, so a second try resumes.
The older kernel is for Macs whose Rosetta does not run under the newest one; \`up\` chooses.

Examples:
  rosetta-vm image build --mirror https://mirror.example/debian
  rosetta-vm image build --kernel 6.1`;

function buildCommand(context: CommandContext): Command {
  return new Command('build')
    .summary('build the image')
    .description('Builds the guest image. The same packages give the same image, bit by bit.')
    .option('--name <name>', 'what to call it (default: "default", or "default-6.1": what `up` takes)')
    .addOption(
      new Option('--kernel <series>', 'Debian’s kernel of this series').choices(KERNEL_SERIES).default(NEWEST_KERNEL),
    )
    .addOption(mirrorOption())
    .addOption(jsonOption())
    .addHelpText('after', BUILD_EXAMPLES)
    .action(async ({ name, kernel, mirror }: { name?: string; kernel: KernelSeries; mirror?: string }) => {
      const { buildImage } = await library();
      const signal = context.interrupts();
      const onProgress = context.progress();
      const image = await buildImage({ store: context.paths, name, kernel, mirror, signal, onProgress });
      context.endProgress();
      if (context.json) return context.printJson([image]);
      context.print(`${context.style.bold(image.id)} is ready in ${image.directory}\n`);
    });
}

interface BaseFlags {
  readonly machine: string;
  readonly suite: string;
  readonly arch: Architecture;
  readonly packages: readonly string[];
  readonly mirror?: string;
}

const BASE_EXAMPLES = `
The image has the packages with all that they depend on, and Debian's base files; no maintainer script is run. It is
for a Dockerfile's FROM where no registry is in reach. The same packages are downloaded and loaded once; delete
roots/ in the downloads folder to get newer versions of them. In the machine,
\`docker image ls --filter label=org.rosetta-vm.root\` lists what was made so.

Examples:
  rosetta-vm image base debian-gcc:trixie --packages gcc,make,libc6-dev,coreutils,dash
  rosetta-vm image base tools --machine ci --arch arm64 --packages busybox-static`;

function baseCommand(context: CommandContext): Command {
  return new Command('base')
    .summary('make a Docker image of Debian packages')
    .description('Makes a Docker image out of Debian packages and loads it into a running machine.')
    .argument('<name>', 'what to call it, such as debian-gcc:trixie')
    .requiredOption('-p, --packages <names>', 'packages, with commas between; may be given again', packageList)
    .option('-s, --suite <suite>', 'Debian suite to take them from', 'trixie')
    .addOption(
      new Option('-a, --arch <arch>', 'processor that its programs are for').choices(ARCHITECTURES).default('amd64'),
    )
    .option('-m, --machine <machine>', 'machine that gets it', 'default')
    .addOption(mirrorOption())
    .addOption(jsonOption())
    .addHelpText('after', BASE_EXAMPLES)
    .action(async (name: string, { machine, arch, ...flags }: BaseFlags) => {
      const { makeBaseImage } = await library();
      const image = await makeBaseImage({
        ...flags,
        name,
        architecture: arch,
        agent: await (await context.machines()).agent(machine),
        store: context.paths,
        signal: context.interrupts(),
        onProgress: context.progress(),
      });
      context.endProgress();
      if (context.json) return context.printJson([image]);
      const size = `${image.packages.length} packages, ${formatSize(image.bytes)}`;
      const where = `${image.loaded ? 'is' : 'was'} in ${machine}${image.loaded ? '' : ' already'}`;
      context.print(`${context.style.bold(image.name)} (${image.platform}, ${size}) ${where}\n`);
    });
}

const ARCHITECTURES: readonly Architecture[] = ['amd64', 'arm64'];

const packageList = (text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...text.split(/[\s,]+/).filter((name) => name !== ''),
];

function listCommand(context: CommandContext): Command {
  return new Command('list')
    .alias('ls')
    .summary('list all images')
    .description('Lists all images on this host.')
    .addOption(jsonOption())
    .action(async () => {
      const images = await (await library()).listImages(context.paths);
      if (context.json) return context.printJson(images);
      if (images.length === 0) return context.hint('There are no images. `rosetta-vm image build` makes one.');
      const rows = images.map(({ name, id, kernelVersion, bytes, createdAt }) => [
        name,
        id,
        kernelVersion,
        formatSize(bytes),
        formatAge(createdAt, Date.now()),
      ]);
      const columns = [{ title: 'NAME' }, { title: 'ID' }, { title: 'KERNEL' }] as const;
      context.print(
        renderTable([...columns, { title: 'SIZE', align: 'right' }, { title: 'AGE', align: 'right' }], rows),
      );
    });
}

function deleteCommand(context: CommandContext): Command {
  return new Command('delete')
    .alias('rm')
    .summary('delete an image')
    .description('Deletes an image. Machines made from it keep working: each has a disk of its own.')
    .argument('<image>', 'name or id of the image')
    .addOption(yesOption())
    .action(async (nameOrId: string, { yes = false }: { yes?: boolean }) => {
      const { deleteImage, findImage } = await library();
      const image = await findImage(context.paths, nameOrId);
      const sure =
        yes ||
        (await confirm({
          text: `Delete the image ${image.name} (${image.id}, ${formatSize(image.bytes)})?`,
          action: `delete the image ${image.id}`,
          flag: '--yes',
        }));
      if (!sure) {
        context.tell('Nothing was deleted.\n');
        context.exitStatus = 1;
        return;
      }
      await deleteImage(context.paths, image.id);
      context.print(`${context.style.bold(image.id)} is deleted\n`);
    });
}
