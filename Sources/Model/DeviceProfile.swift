/// What a device tolerates (profile key `limits`).
package struct DeviceLimits: Hashable, Sendable {
    /// Most registers in one request, at most 125.
    package var registerCount: Int
    /// Most coils or discrete inputs in one request, at most 2000.
    package var bitCount: Int
    /// Most undeclared addresses that a request may read over; nil leaves it to the cost.
    package var gap: Int?
    /// Rest between two requests to this device.
    package var pause: Duration
    /// The least time to wait for a reply, for devices that are slower than what a connection usually allows.
    package var timeout: Duration

    package init(
        registerCount: Int = 125, bitCount: Int = 2000, gap: Int? = nil, pause: Duration = .zero,
        timeout: Duration = .zero
    ) {
        self.registerCount = registerCount
        self.bitCount = bitCount
        self.gap = gap
        self.pause = pause
        self.timeout = timeout
    }
}

/// Factory serial settings: what a scan tries first.
package struct FactorySerialSettings: Hashable, Sendable {
    package var baud: Int
    package var format: SerialFormat
    package var unit: UInt8

    package init(baud: Int, format: SerialFormat, unit: UInt8) {
        self.baud = baud
        self.format = format
        self.unit = unit
    }
}

/// What a golden test expects of one point.
package struct GoldenExpectation: Hashable, Sendable {
    package var point: String
    package var value: PointValue
    package var reasons: QualityReasons

    package init(point: String, value: PointValue, reasons: QualityReasons = []) {
        self.point = point
        self.value = value
        self.reasons = reasons
    }
}

/// Register contents and what the profile must make of them (profile key `tests`).
package struct GoldenTest: Hashable, Sendable {
    /// Runs of words; coils and discrete inputs hold one 0 or 1 a word.
    package var registers: [RegisterTable: [UInt16: UInt16]]
    package var expectations: [GoldenExpectation]
    /// Line of the test in its file, for messages.
    package var line: Int

    package init(registers: [RegisterTable: [UInt16: UInt16]], expectations: [GoldenExpectation], line: Int) {
        self.registers = registers
        self.expectations = expectations
        self.line = line
    }
}

/// A device type as a file describes it: the only place where knowledge about devices lives.
package struct DeviceProfile: Hashable, Sendable {
    /// `manufacturer/model`, equal to the path of the file in its folder.
    package var id: String
    package var title: String
    package var manufacturer: String
    package var model: String
    package var revision: Int
    /// Where the register map was taken from.
    package var source: String
    package var factorySerial: FactorySerialSettings?
    package var limits: DeviceLimits
    package var identity: [IdentityCheck]
    package var points: [Point]
    /// Models whose points are found at run time; ``points`` has those of a device with each model once.
    package var sunSpec: SunSpecSelection?
    package var tests: [GoldenTest]
    package var watchdog: DeviceWatchdog?

    package init(
        id: String, title: String, manufacturer: String, model: String, revision: Int, source: String,
        factorySerial: FactorySerialSettings? = nil, limits: DeviceLimits = DeviceLimits(),
        identity: [IdentityCheck] = [], points: [Point], sunSpec: SunSpecSelection? = nil,
        tests: [GoldenTest] = [], watchdog: DeviceWatchdog? = nil
    ) {
        self.id = id
        self.title = title
        self.manufacturer = manufacturer
        self.model = model
        self.revision = revision
        self.source = source
        self.factorySerial = factorySerial
        self.limits = limits
        self.identity = identity
        self.points = points
        self.sunSpec = sunSpec
        self.tests = tests
        self.watchdog = watchdog
    }
}
