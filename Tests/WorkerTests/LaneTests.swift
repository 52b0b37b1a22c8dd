// Who holds a lane sees that somebody else wants it.

import Foundation
import TestSupport
import Testing
import Worker

@Suite(.waits) struct LaneTests {
    @Test func `who holds a lane sees that somebody waits for it, and who waited comes next`() {
        let lane = Lane()
        let came = Flag()
        lane.perform {
            #expect(!lane.isWaitedFor)
            Thread.detachNewThread { lane.perform { came.set("came") } }
            #expect(eventually { lane.isWaitedFor })
            #expect(came.value == nil)
        }
        #expect(eventually { came.value != nil })
        #expect(eventually { !lane.isWaitedFor })
    }

    @Test func `work that is put into a lane that is held is waited for, too`() {
        let lane = Lane()
        let done = Flag()
        lane.perform {
            lane.put { done.set("done") }
            #expect(lane.isWaitedFor && done.value == nil)
        }
        #expect(done.value != nil && !lane.isWaitedFor)
    }
}
