// A made network: messages take a while, get lost on the way there or back, and places are cut off from all others.

import Engine

enum Place: Hashable {
    case driver(Int), worker(Int), outside
}

final class Network {
    private let scenario: Scenario
    private var cutOff: [Place: Int] = [:]
    private var isHealed = false
    /// A caller gives up after this.
    static let patienceMillis: Int64 = 3000

    init(_ scenario: Scenario) { self.scenario = scenario }

    func cut(_ place: Place, in world: World, forMillis millis: Int64) {
        cutOff[place, default: 0] += 1
        world.after(millis) { self.cutOff[place, default: 0] -= 1 }
    }

    func heal() {
        isHealed = true
        cutOff = [:]
    }

    func isCut(_ from: Place, _ to: Place) -> Bool { !isHealed && ((cutOff[from] ?? 0) > 0 || (cutOff[to] ?? 0) > 0) }

    func delay(_ world: World) -> Int64 {
        if !isHealed, world.random.chance(scenario.slowAnswers) { return 100 + world.random.below(4000) }
        return 1 + world.random.below(12)
    }

    /// Carries a call out at `to` and brings its answer back. Either way may be lost: then `answer` gets `lost` after a while.
    func call<Answer>(
        _ world: World, from: Place, to: Place, lost: Failure, _ body: @escaping () -> Result<Answer, Failure>,
        _ answer: @escaping (Result<Answer, Failure>) -> Void
    ) {
        let loses = !isHealed && world.random.chance(scenario.lostRequests)
        world.after(delay(world)) { [unowned self, unowned world] in
            guard !loses, !isCut(from, to) else { return world.after(Self.patienceMillis) { answer(.failure(lost)) } }
            bringBack(world, from: from, to: to, lost: lost, body(), answer)
        }
    }

    func bringBack<Answer>(
        _ world: World, from: Place, to: Place, lost: Failure, _ result: Result<Answer, Failure>,
        _ answer: @escaping (Result<Answer, Failure>) -> Void
    ) {
        let loses = !isHealed && world.random.chance(scenario.lostAnswers)
        world.after(delay(world)) { [unowned self, unowned world] in
            guard !loses, !isCut(from, to) else { return world.after(Self.patienceMillis) { answer(.failure(lost)) } }
            answer(result)
        }
    }
}
