// One thing that `doctor` looked at, and what came of it. A check that cannot be made is skipped and says so: a guess
// would be worse than nothing.

import Engine

struct DoctorCheck: Encodable, Equatable {
    enum Status: String, Encodable { case ok, warn, fail, skip }
    var status: Status
    var check: String
    var detail: String
    /// What there is to say one by one.
    var list: [String]?
    /// What to do about it.
    var now: String?

    static func ok(_ check: String, _ detail: String) -> DoctorCheck {
        DoctorCheck(status: .ok, check: check, detail: detail)
    }
    static func skip(_ check: String, _ detail: String) -> DoctorCheck {
        DoctorCheck(status: .skip, check: check, detail: detail)
    }
    static func warn(_ check: String, _ detail: String, list: [String]? = nil, now: String) -> DoctorCheck {
        DoctorCheck(status: .warn, check: check, detail: detail, list: list, now: now)
    }
    static func fail(_ check: String, _ detail: String, now: String) -> DoctorCheck {
        DoctorCheck(status: .fail, check: check, detail: detail, now: now)
    }
    static func fail(_ check: String, _ failure: Failure) -> DoctorCheck {
        .fail(check, "\(failure.what): \(failure.why)", now: failure.now)
    }
}
