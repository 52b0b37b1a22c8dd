// Log settings put into force: format and level, once, at the start of a command that logs.

import Engine

enum Logging {
    static func begin(_ settings: Settings) throws {
        Log.configure(
            level: Log.Level(name: settings.text(.logLevel)) ?? .info,
            format: Log.Format(rawValue: settings.text(.logFormat)) ?? .text)
    }
}
