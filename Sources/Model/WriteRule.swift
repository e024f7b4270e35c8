/// How a setpoint may be written (profile key `write`). Only what the device allows; who may is the policy's business.
package struct WriteRule: Hashable, Sendable {
    package enum Mode: String, Sendable, CaseIterable {
        /// FC05 or FC06: one coil or one register.
        case single
        /// FC15 or FC16.
        case multiple
        /// FC22: bits of one register, changed by the device in one step.
        case mask
    }

    /// Where the value is confirmed if not where the point itself is read.
    package enum Readback: Hashable, Sendable {
        /// As another point of the device reads it.
        case point(String)
        /// As the point reads, at another place.
        case place(table: RegisterTable, protocolAddress: UInt16)
        /// Nowhere: the register triggers something, or cannot be read.
        case nowhere
    }

    /// What the place of confirmation shows as long as the value was never written.
    package struct Unset: Hashable, Sendable {
        /// These numbers, in the unit of the point.
        package var numbers: [Double]
        /// No number, or one of the sentinels.
        package var isNoValue: Bool
        /// Nothing: the device refuses to tell, with exception 01 to 04.
        package var isException: Bool

        package init(numbers: [Double] = [], isNoValue: Bool = false, isException: Bool = false) {
            self.numbers = numbers
            self.isNoValue = isNoValue
            self.isException = isException
        }

        package func contains(_ value: PointValue) -> Bool {
            value.number.map { number in numbers.contains { abs($0 - number) <= abs($0) * 1e-9 } } ?? false
        }
    }

    package var mode: Mode
    package var low: Double?
    package var high: Double?
    /// Points of the device that hold the bounds that are in force, instead of ``low`` and ``high``.
    package var lowPoint: String?
    package var highPoint: String?
    /// Values lie on a grid of this width that starts at `low`, or at 0 where there is no `low`.
    package var step: Double?
    /// The same where other points of the device have other names.
    package func renamed(_ name: (String) -> String) -> WriteRule {
        var rule = self
        rule.lowPoint = lowPoint.map(name)
        rule.highPoint = highPoint.map(name)
        if case .point(let other)? = readback { rule.readback = .point(name(other)) }
        return rule
    }

    /// Names of the points that hold bounds.
    package var boundPoints: [String] { [lowPoint, highPoint].compactMap(\.self) }

    /// How far the read-back may be off, in the unit of the point; nil for what one raw step explains.
    package var readbackTolerance: Double?
    /// How long the device takes to show what was written.
    package var settle: Duration
    /// Where the value is written if not where the point is read.
    package var target: RegisterSpan?
    package var readback: Readback?
    /// How the value is written if not as the point is read: another byte order, scale or offset.
    package var encoding: Encoding?
    package var unset: Unset?
    /// Raw writes that go before the value, in this order: what unlocks the device.
    package var unlock: [RegisterWrite] = []
    /// Raw writes that go after the value, in this order: what makes it effective.
    package var commit: [RegisterWrite] = []
    /// Written when a sequence broke off, in this order, each once.
    package var rollback: [RegisterWrite] = []

    package init(
        mode: Mode, low: Double? = nil, high: Double? = nil, step: Double? = nil, readbackTolerance: Double? = nil,
        settle: Duration = .zero, target: RegisterSpan? = nil, readback: Readback? = nil
    ) {
        self.mode = mode
        self.low = low
        self.high = high
        self.step = step
        self.readbackTolerance = readbackTolerance
        self.settle = settle
        self.target = target
        self.readback = readback
    }
}
