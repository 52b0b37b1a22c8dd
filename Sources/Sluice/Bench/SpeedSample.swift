/// What one run of one side came to.
struct SpeedSample: Sendable {
    var perSecond: Double
    /// Processor time of all processes of the side; nil where it is not compared.
    var cpuNanosPerEvent: Double?
}
