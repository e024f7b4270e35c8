import Model

/// Units as other programs write them, as UCUM codes.
enum Units {
    private static let known: [String: String] = [
        "C": "Cel", "℃": "Cel", "Celsius": "Cel", "celsius": "Cel", "Degrees Celsius": "Cel", "degC": "Cel",
        "°C": "Cel",
        "deg C": "Cel", "F": "[degF]", "℉": "[degF]", "degF": "[degF]", "Pct": "%", "pct": "%", "percent": "%",
        "Percent": "%", "%RH": "%", "% RH": "%", "%rH": "%", "Volts": "V", "volts": "V", "Volt": "V", "Amps": "A",
        "amps": "A", "Ampere": "A", "Watts": "W", "watts": "W", "Watt": "W", "Hertz": "Hz", "hz": "Hz", "Secs": "s",
        "secs": "s", "Sec": "s", "Mins": "min", "mins": "min", "Minutes": "min", "hrs": "h", "hr": "h",
        "Hours": "h", "Days": "d", "VAr": "var", "VAR": "var", "Var": "var", "kVAr": "kvar", "kVAR": "kvar",
        "Mvar": "Mvar", "VArh": "var.h", "VARh": "var.h", "Varh": "var.h", "kVArh": "kvar.h", "kVARh": "kvar.h",
        "VAH": "V.A.h", "WH": "W.h", "GWh": "GW.h", "AH": "A.h", "mAh": "mA.h", "MVAr": "Mvar", "Bar": "bar",
        "BAR": "bar", "barg": "bar", "PSI": "[psi]", "Psi": "[psi]", "m³/s": "m3/s", "m³/min": "m3/min",
        "m^3/h": "m3/h",
        "m^3": "m3", "l/h": "L/h", "L/h": "L/h", "l/s": "L/s", "l": "L", "W/m²": "W/m2", "W/m^2": "W/m2", "Rpm": "/min",
        "1/min": "/min", "U/min": "/min", "min-1": "/min", "Degrees": "deg", "Deg": "deg", "degrees": "deg",
        "mS/cm": "mS/cm",
        "µS/cm": "uS/cm", "μS/cm": "uS/cm", "Ohms": "Ohm", "ohms": "Ohm", "kΩ": "kOhm", "MΩ": "MOhm", "µg/m³": "ug/m3",
        "Sm3/h": "m3/h", "Nm": "N.m", "kgH2O": "kg", "mg/m³": "mg/m3", "g/m³": "g/m3", "J/s": "J/s", "dB": "dB",
        "m/s²": "m/s2",
    ]

    /// The UCUM code for a unit, nil for what is none.
    static func code(_ text: String) -> String? {
        let unit = Words.trimmed(text)
        if let code = known[unit] ?? UnitOfMeasure.suggestion(for: unit) { return code }
        return UnitOfMeasure.isValid(unit) && !isAmbiguous(unit) ? unit : nil
    }

    /// What UCUM reads as something else than people mean: `Kwh`, `MS`, bare numbers.
    private static func isAmbiguous(_ unit: String) -> Bool {
        unit.allSatisfy { $0.isNumber } && unit != "1" || unit.contains("{")
    }
}

extension Reporter {
    /// The unit of a point, or nil with a remark.
    func unit(_ node: SourceNode?) -> String? {
        guard let node, let text = node.words else { return nil }
        if let code = Units.code(text) { return code == "1" ? nil : code }
        leftOut(node, "the unit '\(text.prefix(40))' is not known as a UCUM code; the point has no unit")
        return nil
    }
}
