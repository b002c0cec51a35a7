import type { Step } from '../model/step.ts'
import type { StepDefinition } from './step-definition.ts'

export const recordGoal: StepDefinition<Extract<Step, { kind: 'record-goal' }>> = {
  describe() {
    return 'Keep the goal in the cluster’s record, so that a run after an interruption goes on to the same goal'
  },
  predict(step, observed) {
    return {
      ...observed,
      goal: { goal: step.goal, fromEarlierRun: false },
      record: { ...observed.record, goal: step.goal }
    }
  },
  async perform(step, { kubernetes, observed, memory }) {
    memory.goal = step.goal
    await (await kubernetes()).record.write({ ...observed.record, goal: step.goal, approvedPlan: memory.approvedPlan })
  }
}
