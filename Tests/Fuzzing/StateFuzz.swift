// Fuzzing of files of state: what is read must be written as it was, and merging must keep what is there.

import Dataflow

final class StateFuzz: FuzzSubject {
    let seeds: [[UInt8]]
    let tokens: [[UInt8]] = [
        [1, 1], [0], [1], [0x7f], [0x80, 0x01], [0xff, 0xff, 0xff, 0xff, 0x07], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], Array(repeating: 0, count: 16),
        [5, 2, 1, 2, 2, 3],
        [5, 2, 1, 2, 0],
    ]

    init() {
        var delta = StateDelta()
        var seeds = [StateFileBytes.write([])]
        for (number, group) in [5, 0, 127, 5].enumerated() {
            delta.put(group, [1, UInt8(number)], [3, 4, 5])
            delta.remove(group, Array(repeating: 7, count: number * 4))
            seeds.append(StateFileBytes.write([(OperatorID(high: UInt64(number), low: 2), delta), (OperatorID(high: 1, low: 1), delta)]))
        }
        self.seeds = seeds
    }

    func run(_ input: UnsafeBufferPointer<UInt8>) -> FuzzOutcome {
        let bytes = Array(input)
        do {
            let deltas = try StateFileBytes.read(bytes)
            if StateFileBytes.write(deltas) != bytes { return .defect("what was read is written otherwise") }
            var merge = StateMerge()
            try merge.add(bytes, groups: [0..<KeyGroup.count])
            var again = StateMerge()
            try again.add(merge.delta().bytes, groups: [0..<KeyGroup.count])
            if again.delta().bytes != merge.delta().bytes || again.snapshot().bytes != merge.snapshot().bytes { return .defect("merged again it is another state") }
            return .accepted
        } catch {
            return .refused
        }
    }
}
