// What the watermark will close, by the time at which it does.
//
// Numbers of groups are used again, and a group may be gone when its time comes: whoever takes them out looks whether each is still there
// and of that time. Survives nothing: what is loaded is added again.

/// Groups by the time of their closing key.
final class ClosingGroups {
    private var groups: [Int64: [Int32]] = [:]
    /// The times, the latest first.
    private var times: [Int64] = []

    /// A group without a time is never closed.
    func add(_ group: Int32, _ time: Int64?) {
        guard let time else { return }
        if groups[time]?.append(group) != nil { return }
        groups[time] = [group]
        var (low, high) = (0, times.count)
        while low < high {
            let middle = (low + high) / 2
            if times[middle] > time { low = middle + 1 } else { high = middle }
        }
        times.insert(time, at: low)
    }

    /// Takes out what lies below a time, the earliest first.
    func below(_ time: Int64) -> [(time: Int64, groups: [Int32])] {
        var found: [(Int64, [Int32])] = []
        while let last = times.last, last < time {
            times.removeLast()
            found.append((last, groups.removeValue(forKey: last)!))
        }
        return found
    }
}
