export function sourceState(root: string): { readonly id: string; readonly dirty: boolean } | null;
