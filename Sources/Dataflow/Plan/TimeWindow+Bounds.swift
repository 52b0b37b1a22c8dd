// Where windows of time lie. A window is half open and aligned to an origin, before it too.
//
// Lengths are bounded where a query is bound, times here: beyond 73,000 years from 1970 a row is in no window, so no sum of a time and a length
// leaves 64 bits.

import SQLBinding
import Values

extension TimeWindow {
    /// The farthest time from 1970 that is in a window, in microseconds.
    static let reach: Int64 = 1 << 61

    static func holds(_ time: Int64) -> Bool { -reach...reach ~= time }

    /// The bounds of the earliest window that can still get a row at `time`.
    func firstOpen(at time: Int64) -> (start: Int64, end: Int64) {
        if time == .max { return (time, time) }
        let time = max(min(time, Self.reach), -Self.reach)
        switch shape {
        case .tumble(let size):
            let start = Self.floor(time, origin, size)
            return (start, start + size)
        case .hop(let slide, let size):
            // The first multiple of the slide whose end is behind the time.
            let start = Self.floor(time - size, origin, slide) + slide
            return (start, start + size)
        case .cumulate(let step, let size):
            let start = Self.floor(time, origin, size)
            return (start, start + (time - start) / step * step + step)
        case .session(let gap, _): return (time, time + gap)
        }
    }

    /// The greatest multiple of `size`, counted from the origin, that is not after `time`.
    @inline(__always)
    static func floor(_ time: Int64, _ origin: Int64, _ size: Int64) -> Int64 {
        let distance = time &- origin
        let rest = distance % size
        return time &- (rest < 0 ? rest &+ size : rest)
    }
}
