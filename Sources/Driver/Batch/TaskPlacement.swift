// Decides which worker runs which task: where its partition or state already is, otherwise where least is.
//
// Sticky, because a worker that follows a partition holds its next records already and one that merged a part holds its
// state. Balanced by slots, so that nobody gets more than its share (rounded up) while others have room: a worker that
// joins takes over what is above the others' share. Pure; forgetting it costs a seek and a state load, never an answer.

import Engine

package struct TaskPlacement: Sendable {
    package struct Member: Hashable, Sendable {
        package var id: String
        package var slots: Int
        package init(id: String, slots: Int) {
            self.id = id
            self.slots = slots
        }
    }

    /// What sticks: a Kafka partition for stage 0, a part for the stages after an exchange.
    package enum Key: Hashable, Sendable {
        case partition(TopicPartition)
        case part(Int)
    }

    private var homes: [Key: String] = [:]
    /// Where small batches go as a whole.
    private var gathering: String?

    package init() {}

    /// A worker for each key, in the keys' order. `members` must not be empty; their order does not matter.
    package mutating func place(_ keys: [Key], on members: [Member]) -> [String] {
        precondition(!members.isEmpty)
        let members = members.sorted { $0.id < $1.id }
        let slots = members.reduce(0) { $0 + $1.slots }
        var room: [String: Int] = [:]
        var capacity: [String: Int] = [:]
        for member in members {
            capacity[member.id] = (keys.count * member.slots + slots - 1) / slots
            room[member.id] = capacity[member.id]
        }
        var placed: [String?] = Array(repeating: nil, count: keys.count)
        for (index, key) in keys.enumerated() {
            guard let home = homes[key], let left = room[home], left > 0 else { continue }
            placed[index] = home
            room[home] = left - 1
        }
        var cursor = 0
        for index in keys.indices where placed[index] == nil {
            // Members in turn, starting after the last choice, so that new keys spread evenly.
            var tried = 0
            while room[members[cursor].id]! == 0 && tried < members.count {
                cursor = (cursor + 1) % members.count
                tried += 1
            }
            let id = members[cursor].id
            placed[index] = id
            room[id] = max(0, room[id]! - 1)
            homes[keys[index]] = id
            cursor = (cursor + 1) % members.count
        }
        return placed.map { $0! }
    }

    /// One worker for all keys: the one that the last small batch had, otherwise the one that is home to most of them,
    /// otherwise one that `salt` picks, so that many small jobs do not all meet at the same. Homes stay as they are.
    package mutating func gather(_ keys: [Key], on members: [Member], salt: String) -> [String] {
        precondition(!members.isEmpty)
        let ids = members.map(\.id).sorted()
        if let gathering, ids.contains(gathering) { return Array(repeating: gathering, count: keys.count) }
        var count: [String: Int] = [:]
        for key in keys { if let home = homes[key] { count[home, default: 0] += 1 } }
        let turn = salt.utf8.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFFFF } % ids.count
        let rotated = ids[turn...] + ids[..<turn]
        // The first of the largest: `max` would take the last.
        let best = rotated.reduce(rotated.first!) { (count[$1] ?? 0) > (count[$0] ?? 0) ? $1 : $0 }
        gathering = best
        return Array(repeating: best, count: keys.count)
    }

    /// The key is at home there from now on.
    package mutating func move(_ key: Key, to worker: String) { homes[key] = worker }

    /// Nothing sticks to this worker any more.
    package mutating func forget(_ worker: String) {
        homes = homes.filter { $0.value != worker }
        if gathering == worker { gathering = nil }
    }
}
