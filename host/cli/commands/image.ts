/** `rosetta-vm image`: guest images. */
import { Command } from 'commander';
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
    .addCommand(listCommand(context))
    .addCommand(deleteCommand(context));
}

const library = () => import('../../../images/index.ts');

const BUILD_EXAMPLES = `
\`up\` builds the image itself when there is none. What was downloaded is kept, so a second try resumes.

Example:
  rosetta-vm image build --mirror https://mirror.example/debian`;

function buildCommand(context: CommandContext): Command {
  return new Command('build')
    .summary('build the image')
    .description('Builds the guest image. The same packages give the same image, bit by bit.')
    .option('--name <name>', 'what to call it (default: "default", which `up` takes)')
    .addOption(mirrorOption())
    .addOption(jsonOption())
    .addHelpText('after', BUILD_EXAMPLES)
    .action(async ({ name, mirror }: { name?: string; mirror?: string }) => {
      const { buildImage } = await library();
      const signal = context.interrupts();
      const image = await buildImage({ store: context.paths, name, mirror, signal, onProgress: context.progress() });
      context.endProgress();
      if (context.json) return context.printJson([image]);
      context.print(`${context.style.bold(image.id)} is ready in ${image.directory}\n`);
    });
}

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
