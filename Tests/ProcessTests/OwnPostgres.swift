// A PostgreSQL server of their own for process tests that stop or kill it: one for all of them, so they run one after the other.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits, .serialized, .enabled(if: PostgresFixture.missingReason == nil, "no PostgreSQL server is installed"))
enum OwnPostgresTests {
    static let server = Result { try PostgresFixture() }
}
