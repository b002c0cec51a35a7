/** The seams between the rooms of the test bed. */

/** A user of the Kubernetes API, as an authenticator sees it. */
export interface KubernetesUser {
  readonly username: string
  readonly groups: readonly string[]
}

/** One provider of an EncryptionConfiguration; a KMS provider stands for one of AKS's two key slots. */
export type EncryptionProvider =
  | { readonly kind: 'identity' }
  /** A key in a file of the API server's, as in self-managed clusters. */
  | {
      readonly kind: 'aescbc'
      /** In the prefix of stored values, `k8s:enc:aescbc:v1:<keyName>:`. */
      readonly keyName: string
      /** 32 bytes in base64. */
      readonly secret: string
    }
  | {
      readonly kind: 'kms'
      readonly apiVersion: 'v1' | 'v2'
      /** The name in the prefix of stored values, `k8s:enc:kms:<apiVersion>:<name>:`. */
      readonly name: string
      /** Url of the Key Vault key version that the slot's plugin encrypts under. */
      readonly keyId: string
      /** KMS v1: urls of the key versions that the plugin still decrypts with. None unless told, as with Azure's plugin. */
      readonly earlierKeyIds?: readonly string[]
    }

/** Providers in the order of the EncryptionConfiguration: the first one writes, all read. */
export type EncryptionConfiguration = readonly EncryptionProvider[]

/** The two operations that a KMS plugin asks of Key Vault (RSA-OAEP-256). Both throw when the vault refuses. */
export interface KeyOperations {
  encrypt(keyId: string, plaintext: Uint8Array): Promise<Uint8Array>
  decrypt(keyId: string, ciphertext: Uint8Array): Promise<Uint8Array>
}

/** One Secret as its bytes lie in etcd: the ground truth of every test. */
export interface StoredSecret {
  readonly namespace: string
  readonly name: string
  /** `identity`, or the provider prefix without the last colon, such as `k8s:enc:kms:v2:azurekms0`. */
  readonly provider: string
  /** KMS v2: the key id in the value, which is the SHA-256 in hex of the key version's url. Undefined elsewhere. */
  readonly keyIdHash: string | undefined
  readonly revision: number
  readonly bytes: Uint8Array
}

/** A Secret to plant, and to compare with afterwards. Values are base64 as in the API. */
export interface SeedSecret {
  readonly namespace: string
  readonly name: string
  readonly type?: string
  readonly immutable?: boolean
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly data: Readonly<Record<string, string>>
}

export interface ApiAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Parsed JSON, or the text where the answer is none. */
  readonly body: unknown
}

export interface ControlPlaneOptions {
  readonly keyOperations: KeyOperations
  /** Who a bearer token belongs to; undefined is a 401. */
  readonly authenticateToken: (token: string) => KubernetesUser | undefined
  /** API servers behind the one address; the embedded control plane has always one. */
  readonly apiServers?: number
  /** Serve KMS v1 too, as AKS below Kubernetes 1.27. */
  readonly kmsV1?: boolean
  readonly encryption: EncryptionConfiguration
  /** The embedded control plane: of the times at which it asks KMS v2 plugins for their status. As in kube-apiserver unless told. */
  readonly pluginTimeScale?: number
}

/** etcd and API servers behind one address, real or embedded. */
export interface ControlPlane {
  readonly kind: 'real' | 'embedded'
  /** `https://127.0.0.1:<port>` */
  readonly server: string
  /** PEM of the authority that signed the serving certificate. */
  readonly certificateAuthority: string
  /** The administrator's client certificate and key, PEM; group `system:masters`. */
  readonly adminCertificate: { readonly certificate: string; readonly key: string }
  /** Restarts the API servers one after the other under another configuration; resolves when all of them serve under it. */
  roll(encryption: EncryptionConfiguration): Promise<void>
  /** Restarts them under the configuration that they have, whether they become ready or not; resolves when they answer. */
  restart(): Promise<void>
  /** What is in etcd under `/registry/secrets/`. */
  storedSecrets(): Promise<readonly StoredSecret[]>
  /** Creates namespaces and Secrets as fast as the control plane can take them. */
  seed(secrets: readonly SeedSecret[]): Promise<void>
  /** A request with the administrator's credential. */
  request(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<ApiAnswer>
  stop(): Promise<void>
}

/** Key and certificate of the bed's own certificate authority, which signs every simulated public host. */
export interface CertificateAuthority {
  readonly certificate: string
  issue(options: {
    readonly hosts: readonly string[]
    readonly commonName?: string
    readonly organizations?: readonly string[]
  }): Promise<{ readonly certificate: string; readonly key: string }>
}
