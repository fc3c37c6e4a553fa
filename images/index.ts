/** Guest images, amd64 roots and host tools, all out of Debian's archive: what host code calls. */
export { type BaseImage, type BaseImageOptions, makeBaseImage } from './base-image.ts';
export { type BaseRoot, type BaseRootOptions, buildBaseRoot } from './base-root.ts';
export { type BuildImageOptions, buildImage } from './build.ts';
export { ensureHostTool, findHostTool, type HostTool, type HostToolOptions } from './host-tool.ts';
export type { ImageRecord, ImageStore } from './image.ts';
export { isOfThisVersion } from './recipe.ts';
export { deleteImage, findImage, listImages } from './store.ts';
export { verifyImage } from './verify.ts';
