/// Year, month, day, hour, minute and second of a moment in UTC (proleptic Gregorian calendar).
package struct CivilTime: Hashable, Sendable {
    package var year: Int
    package var month: Int
    package var day: Int
    package var hour: Int
    package var minute: Int
    package var second: Int

    package init(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    /// Whether every field is in the range that the calendar and the clock allow (leap seconds are not).
    package var isValid: Bool {
        (1...9999).contains(year) && (1...12).contains(month) && (1...Self.days(inMonth: month, of: year)).contains(day)
            && (0...23).contains(hour) && (0...59).contains(minute) && (0...59).contains(second)
    }

    private static func days(inMonth month: Int, of year: Int) -> Int {
        let isLeap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
        return month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    /// Days since 1970-01-01, counted in 400-year eras that begin on 1 March so that the leap day comes last.
    var daysSinceEpoch: Int {
        let shifted = month > 2 ? year : year - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    init(daysSinceEpoch days: Int, secondOfDay: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        hour = secondOfDay / 3600
        minute = secondOfDay / 60 % 60
        second = secondOfDay % 60
    }
}

extension UnixTime {
    package init(_ civil: CivilTime) {
        let seconds = civil.daysSinceEpoch * 86_400 + civil.hour * 3600 + civil.minute * 60 + civil.second
        self.init(microseconds: Int64(seconds) * 1_000_000)
    }

    package var civil: CivilTime {
        let seconds = microseconds.flooredDivision(by: 1_000_000)
        let days = seconds.flooredDivision(by: 86_400)
        return CivilTime(daysSinceEpoch: Int(days), secondOfDay: Int(seconds - days * 86_400))
    }

    /// `2026-11-20T23:41:07.105Z`: RFC 3339 with milliseconds, always 24 bytes for years 0 to 9999.
    package var rfc3339: String {
        var bytes: [UInt8] = []
        appendRFC3339(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends ``rfc3339`` as ASCII.
    package func appendRFC3339(to bytes: inout [UInt8]) {
        let time = civil
        let milliseconds = microseconds.flooredDivision(by: 1000)
        let fraction = Int(milliseconds - milliseconds.flooredDivision(by: 1000) * 1000)
        bytes.appendDigits(time.year, width: 4)
        bytes.append(UInt8(ascii: "-"))
        bytes.appendDigits(time.month, width: 2)
        bytes.append(UInt8(ascii: "-"))
        bytes.appendDigits(time.day, width: 2)
        bytes.append(UInt8(ascii: "T"))
        bytes.appendDigits(time.hour, width: 2)
        bytes.append(UInt8(ascii: ":"))
        bytes.appendDigits(time.minute, width: 2)
        bytes.append(UInt8(ascii: ":"))
        bytes.appendDigits(time.second, width: 2)
        bytes.append(UInt8(ascii: "."))
        bytes.appendDigits(fraction, width: 3)
        bytes.append(UInt8(ascii: "Z"))
    }
}

extension Int64 {
    /// Division that rounds towards minus infinity, so that moments before 1970 fall on the right day.
    func flooredDivision(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}

extension [UInt8] {
    /// Appends `number` in decimal with leading zeros up to `width` digits; a larger number loses its upper digits
    /// and a negative one its sign.
    package mutating func appendDigits(_ number: Int, width: Int) {
        var divisor: UInt = 1
        for _ in 1..<width { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(ascii: "0") + UInt8(number.magnitude / divisor % 10))
            divisor /= 10
        }
    }
}
