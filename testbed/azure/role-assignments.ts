import { randomUUID } from 'node:crypto'

import type { ArmRoute } from './resource-manager.ts'
import { armFault, isUnder } from './resource-manager.ts'
import { textAt, type JsonObject } from './json.ts'

interface RoleDefinition {
  readonly name: string
  readonly actions: readonly string[]
  readonly notActions?: readonly string[]
  readonly dataActions?: readonly string[]
}

/** Built-in roles by id: the part of their actions that anything in the bed asks for. */
const definitions = {
  '8e3af657-a8ff-443c-a75c-2fe8c4bcb635': { name: 'Owner', actions: ['*'] },
  'b24988ac-6180-42a0-ab88-20f7382dd24c': {
    name: 'Contributor',
    actions: ['*'],
    notActions: ['Microsoft.Authorization/*/Delete', 'Microsoft.Authorization/*/Write']
  },
  'acdd72a7-3385-48ef-bd42-f606fba81ae7': { name: 'Reader', actions: ['*/read'] },
  '18d7d88d-d35e-4fb5-a5c3-7773c20a72d9': {
    name: 'User Access Administrator',
    actions: ['*/read', 'Microsoft.Authorization/*']
  },
  'f58310d9-a9f6-439a-9e8d-f62e7b41a168': {
    name: 'Role Based Access Control Administrator',
    actions: [
      'Microsoft.Authorization/roleAssignments/write',
      'Microsoft.Authorization/roleAssignments/delete',
      '*/read'
    ]
  },
  'f1a07417-d97a-45cb-824c-7a7467783830': {
    name: 'Managed Identity Operator',
    actions: [
      'Microsoft.ManagedIdentity/userAssignedIdentities/*/read',
      'Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action',
      'Microsoft.Authorization/*/read',
      'Microsoft.Resources/subscriptions/resourceGroups/read'
    ]
  },
  'e40ec5ca-96e0-45a2-b4ff-59039f2c2b59': {
    name: 'Managed Identity Contributor',
    actions: [
      'Microsoft.ManagedIdentity/userAssignedIdentities/read',
      'Microsoft.ManagedIdentity/userAssignedIdentities/write',
      'Microsoft.ManagedIdentity/userAssignedIdentities/delete'
    ]
  },
  'ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8': {
    name: 'Azure Kubernetes Service Contributor Role',
    actions: [
      'Microsoft.ContainerService/managedClusters/read',
      'Microsoft.ContainerService/managedClusters/write',
      'Microsoft.Resources/deployments/*'
    ]
  },
  '0ab0b1a8-8aac-4efd-b8c2-3ee1fb270be8': {
    name: 'Azure Kubernetes Service Cluster Admin Role',
    actions: [
      'Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action',
      'Microsoft.ContainerService/managedClusters/accessProfiles/listCredential/action',
      'Microsoft.ContainerService/managedClusters/read',
      'Microsoft.ContainerService/managedClusters/runcommand/action'
    ]
  },
  '4abbcc35-e782-43d8-92c5-2d3f1bd2253f': {
    name: 'Azure Kubernetes Service Cluster User Role',
    actions: [
      'Microsoft.ContainerService/managedClusters/listClusterUserCredential/action',
      'Microsoft.ContainerService/managedClusters/read'
    ]
  },
  'b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b': {
    name: 'Azure Kubernetes Service RBAC Cluster Admin',
    actions: ['Microsoft.ContainerService/managedClusters/listClusterUserCredential/action'],
    dataActions: ['Microsoft.ContainerService/managedClusters/*']
  },
  '3498e952-d568-435e-9b2c-8d77e338d7f7': {
    name: 'Azure Kubernetes Service RBAC Admin',
    actions: ['Microsoft.ContainerService/managedClusters/listClusterUserCredential/action'],
    dataActions: ['Microsoft.ContainerService/managedClusters/*']
  },
  'a7ffa36f-339b-4b5c-8bdf-e2c188b2c0eb': {
    name: 'Azure Kubernetes Service RBAC Writer',
    actions: [],
    dataActions: [
      'Microsoft.ContainerService/managedClusters/secrets/*',
      'Microsoft.ContainerService/managedClusters/namespaces/read'
    ]
  },
  '7f6c6a51-bcf8-42ba-9220-52d62157d7db': {
    name: 'Azure Kubernetes Service RBAC Reader',
    actions: [],
    dataActions: [
      'Microsoft.ContainerService/managedClusters/configmaps/read',
      'Microsoft.ContainerService/managedClusters/namespaces/read'
    ]
  },
  '00482a5a-887f-4fb3-b363-3b7fe8e74483': {
    name: 'Key Vault Administrator',
    actions: ['Microsoft.KeyVault/vaults/read', 'Microsoft.KeyVault/vaults/*/read'],
    dataActions: ['Microsoft.KeyVault/vaults/*']
  },
  'f25e0fa2-a7c8-4377-a976-54943a77a395': { name: 'Key Vault Contributor', actions: ['Microsoft.KeyVault/*'] },
  '21090545-7ca7-4776-b22c-e363652d74d2': {
    name: 'Key Vault Reader',
    actions: ['Microsoft.KeyVault/vaults/read', 'Microsoft.KeyVault/vaults/*/read'],
    dataActions: ['Microsoft.KeyVault/vaults/*/read']
  },
  '14b46e9e-c2b7-41b4-b07b-48a6ebf60603': {
    name: 'Key Vault Crypto Officer',
    actions: ['Microsoft.KeyVault/vaults/read', 'Microsoft.KeyVault/vaults/*/read'],
    dataActions: ['Microsoft.KeyVault/vaults/keys/*', 'Microsoft.KeyVault/vaults/keyrotationpolicies/*']
  },
  '12338af0-0e69-4776-bea7-57ae8d297424': {
    name: 'Key Vault Crypto User',
    actions: [],
    dataActions: [
      'Microsoft.KeyVault/vaults/keys/read',
      'Microsoft.KeyVault/vaults/keys/update/action',
      'Microsoft.KeyVault/vaults/keys/encrypt/action',
      'Microsoft.KeyVault/vaults/keys/decrypt/action'
    ]
  },
  'e147488a-f6f5-4113-8e2d-b22465e65bf6': {
    name: 'Key Vault Crypto Service Encryption User',
    actions: [],
    dataActions: [
      'Microsoft.KeyVault/vaults/keys/read',
      'Microsoft.KeyVault/vaults/keys/wrap/action',
      'Microsoft.KeyVault/vaults/keys/unwrap/action'
    ]
  }
} as const satisfies Record<string, RoleDefinition>

export type RoleName = (typeof definitions)[keyof typeof definitions]['name']

const roles = new Map<string, RoleDefinition>(Object.entries(definitions))

export function roleId(name: RoleName): string {
  for (const [id, definition] of roles) if (definition.name === name) return id
  throw new Error(`The bed knows no role "${name}".`)
}

/** How long Azure may take to make a role assignment known everywhere, in milliseconds. */
const REAL_PROPAGATION = 600_000

interface RoleAssignment {
  readonly name: string
  readonly principalId: string
  readonly roleId: string
  readonly scope: string
  /** Milliseconds since the epoch; before it nobody has heard of the assignment. */
  readonly effective: number
}

export interface Permissions {
  grant(principalId: string, role: RoleName, scope: string): void
  /** Takes the role away on exactly this scope. */
  revoke(principalId: string, role: RoleName, scope: string): void
  /** How long assignments made from now on take to be known, as in Azure, where it is up to ten minutes. */
  setPropagationDelay(milliseconds: number): void
  allows(principalId: string, action: string, scope: string): boolean
  allowsData(principalId: string, dataAction: string, scope: string): boolean
}

export interface RoleAssignments extends Permissions {
  readonly routes: readonly ArmRoute[]
}

export function createRoleAssignments(knows: { principal(objectId: string): boolean }): RoleAssignments {
  const assignments: RoleAssignment[] = []
  let propagationDelay = 0

  const definitionsFor = (principalId: string, scope: string): readonly RoleDefinition[] =>
    assignments
      .filter((assignment) => assignment.principalId === principalId && assignment.effective <= Date.now())
      .filter((assignment) => isUnder(scope, assignment.scope))
      .flatMap((assignment) => roles.get(assignment.roleId) ?? [])

  const find = (scope: string, name: string): RoleAssignment | undefined =>
    assignments.find((one) => one.name === name && one.scope.toLowerCase() === scope.toLowerCase())

  const put: ArmRoute['handle'] = ({ parameters, body, caller }) => {
    const { scope = '', name = '' } = parameters
    const definitionId = textAt(body, 'properties', 'roleDefinitionId')
    const role = (definitionId.split('/').at(-1) ?? '').toLowerCase()
    const principalId = textAt(body, 'properties', 'principalId')
    if (!roles.has(role)) {
      return armFault(
        404,
        'RoleDefinitionDoesNotExist',
        `The specified role definition with ID '${role}' does not exist.`
      )
    }
    if (!knows.principal(principalId) && textAt(body, 'properties', 'principalType') === '') {
      return armFault(
        400,
        'PrincipalNotFound',
        `Principal ${principalId.replaceAll('-', '')} does not exist in the directory ${caller.tenantId}. Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype`
      )
    }
    const twin = assignments.find(
      (one) => one.principalId === principalId && one.roleId === role && one.scope.toLowerCase() === scope.toLowerCase()
    )
    if (twin !== undefined && twin.name !== name) {
      return armFault(
        409,
        'RoleAssignmentExists',
        `The role assignment already exists. The ID of the existing role assignment is ${twin.name.replaceAll('-', '')}.`
      )
    }
    const existing = find(scope, name)
    if (existing !== undefined) {
      if (existing.principalId === principalId && existing.roleId === role) return { status: 200, body: show(existing) }
      return armFault(
        409,
        'RoleAssignmentUpdateNotPermitted',
        'Tenant ID, application ID, principal ID, and scope are not allowed to be updated.'
      )
    }
    const assignment = { name, principalId, roleId: role, scope, effective: Date.now() + propagationDelay }
    assignments.push(assignment)
    return { status: 201, body: show(assignment) }
  }

  const list: ArmRoute['handle'] = ({ parameters, request }) => {
    const { scope = '' } = parameters
    const filter = request.query.get('$filter') ?? ''
    const wanted = /(?:principalId eq|assignedTo\() ?'([^']+)'/i.exec(filter)?.[1]
    const value = assignments
      .filter((one) => isUnder(scope, one.scope) || (!/atScope\(\)/i.test(filter) && isUnder(one.scope, scope)))
      .filter((one) => wanted === undefined || one.principalId === wanted)
      .map(show)
    return { status: 200, body: { value } }
  }

  return {
    grant(principalId, role, scope) {
      assignments.push({
        name: randomUUID(),
        principalId,
        roleId: roleId(role),
        scope,
        effective: Date.now() + propagationDelay
      })
    },
    revoke(principalId, role, scope) {
      const id = roleId(role)
      for (let i = assignments.length - 1; i >= 0; i--) {
        const one = assignments[i]
        if (one?.principalId === principalId && one.roleId === id && one.scope.toLowerCase() === scope.toLowerCase()) {
          assignments.splice(i, 1)
        }
      }
    },
    setPropagationDelay(milliseconds) {
      propagationDelay = milliseconds
    },
    allows: (principalId, action, scope) =>
      definitionsFor(principalId, scope).some(
        ({ actions, notActions = [] }) => matches(actions, action) && !matches(notActions, action)
      ),
    allowsData: (principalId, dataAction, scope) =>
      definitionsFor(principalId, scope).some(({ dataActions = [] }) => matches(dataActions, dataAction)),
    routes: [
      {
        method: 'GET',
        path: '{*scope}/providers/Microsoft.Authorization/roleAssignments',
        action: 'Microsoft.Authorization/roleAssignments/read',
        handle: list
      },
      {
        method: 'GET',
        path: '{*scope}/providers/Microsoft.Authorization/roleAssignments/{name}',
        action: 'Microsoft.Authorization/roleAssignments/read',
        handle({ parameters }) {
          const found = find(parameters['scope'] ?? '', parameters['name'] ?? '')
          if (found !== undefined) return { status: 200, body: show(found) }
          return armFault(404, 'RoleAssignmentNotFound', `The role assignment '${parameters['name']}' is not found.`)
        }
      },
      {
        method: 'PUT',
        path: '{*scope}/providers/Microsoft.Authorization/roleAssignments/{name}',
        action: 'Microsoft.Authorization/roleAssignments/write',
        handle: put
      },
      {
        method: 'GET',
        path: '{*scope}/providers/Microsoft.Authorization/roleDefinitions/{role}',
        action: 'Microsoft.Authorization/roleDefinitions/read',
        handle({ parameters, resourceId }) {
          const { role = '' } = parameters
          const definition = roles.get(role.toLowerCase())
          if (definition !== undefined) return { status: 200, body: showRole(resourceId, role, definition) }
          return armFault(
            404,
            'RoleDefinitionDoesNotExist',
            `The specified role definition with ID '${role}' does not exist.`
          )
        }
      },
      {
        // Who may nothing at a scope may still ask what that is.
        method: 'GET',
        path: '{*scope}/providers/Microsoft.Authorization/permissions',
        handle({ parameters, caller }) {
          const value = definitionsFor(caller.objectId, parameters['scope'] ?? '').map(showPermissions)
          return { status: 200, body: { value } }
        }
      }
    ]
  }
}

/** Time is compressed in the bed: by the time that an assignment is known, it is shown to be as old as Azure's are by then. */
function show({ name, principalId, roleId: id, scope, effective }: RoleAssignment): JsonObject {
  const subscription = /^\/subscriptions\/[^/]+/i.exec(scope)?.[0] ?? ''
  return {
    properties: {
      roleDefinitionId: `${subscription}/providers/Microsoft.Authorization/roleDefinitions/${id}`,
      principalId,
      principalType: 'ServicePrincipal',
      scope,
      createdOn: new Date(effective - REAL_PROPAGATION).toISOString(),
      condition: null,
      conditionVersion: null,
      delegatedManagedIdentityResourceId: null
    },
    id: `${scope}/providers/Microsoft.Authorization/roleAssignments/${name}`,
    type: 'Microsoft.Authorization/roleAssignments',
    name
  }
}

function showRole(id: string, name: string, definition: RoleDefinition): JsonObject {
  return {
    properties: {
      roleName: definition.name,
      type: 'BuiltInRole',
      assignableScopes: ['/'],
      permissions: [showPermissions(definition)]
    },
    id,
    type: 'Microsoft.Authorization/roleDefinitions',
    name
  }
}

function showPermissions({ actions, notActions = [], dataActions = [] }: RoleDefinition): JsonObject {
  return { actions, notActions, dataActions, notDataActions: [] }
}

// As in Azure `a/*/b` lets in `a/b` too: Managed Identity Operator has no other words for assigning an identity.
function matches(patterns: readonly string[], action: string): boolean {
  return patterns.some((pattern) => {
    const parts = pattern.split('/*/').map((part) => part.split('*').map(escapeText).join('.*'))
    return new RegExp(`^${parts.join('/(.*/)?')}$`, 'i').test(action)
  })
}

function escapeText(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
