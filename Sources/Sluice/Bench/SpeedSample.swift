/// What one run of one side came to.
struct SpeedSample: Sendable {
    var perSecond: Double
    /// Processor time of all processes of the side; nil where it is not compared.
    var cpuNanosPerEvent: Double?
    /// The part of all processors that was busy while rows waited, 0 to 1; nil where it is not looked at.
    var coresInUse: Double?
}
