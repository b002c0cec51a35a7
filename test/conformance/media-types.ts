/** `Accept` and `Content-Type` as clients of the Kubernetes API spell them. */

const as = (kind: string): string => `application/json;as=${kind};g=meta.k8s.io;v=v1`

export const accept = {
  table: as('Table'),
  metadata: as('PartialObjectMetadata'),
  metadataList: as('PartialObjectMetadataList'),
  as
}

export const mergePatch = 'application/merge-patch+json'
