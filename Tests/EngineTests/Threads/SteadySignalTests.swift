import Engine
import Foundation
import Synchronization
import Testing

struct SteadySignalTests {
    @Test func `signals are counted, and each lets one waiter go on`() {
        let signal = SteadySignal()
        #expect(!signal.take(withinMillis: 0))
        signal.give()
        signal.give()
        #expect(signal.take(withinMillis: 0) && signal.take(withinMillis: 1000) && !signal.take(withinMillis: 0))
    }

    @Test func `one that stays lets everybody go on`() {
        let signal = SteadySignal()
        #expect(!signal.isGiven(withinMillis: 0))
        signal.give()
        for _ in 0..<3 { #expect(signal.isGiven(withinMillis: 0)) }
    }

    @Test func `a wait ends when its time is over, not sooner`() {
        let signal = SteadySignal()
        let before = ContinuousClock.now
        #expect(!signal.take(within: .microseconds(20_500)))
        #expect(ContinuousClock.now - before >= .microseconds(20_500))
        // Whatever is asked for, no arithmetic traps.
        signal.give()
        #expect(signal.take(within: .seconds(Int64.max)) && !signal.take(within: .seconds(-5)))
    }

    @Test func `none of a hundred thousand signals between threads is lost`() {
        let (there, back) = (SteadySignal(), SteadySignal())
        let count = 50_000
        let thread = Thread {
            for _ in 0..<count {
                there.take()
                back.give()
            }
        }
        thread.start()
        var taken = 0
        for _ in 0..<count {
            there.give()
            if back.take(withinMillis: 60_000) { taken += 1 }
        }
        #expect(taken == count)
    }
}
