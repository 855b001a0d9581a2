extension Sampler {
    /// Reads `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`. What cannot be used is reported and replaced by the default, as OpenTelemetry asks.
    package init(environment: [String: String], warnings: inout [String]) {
        let name = environment["OTEL_TRACES_SAMPLER"].map { $0.lowercased() } ?? ""
        let followsParent = name.hasPrefix("parentbased_")
        switch followsParent ? String(name.dropFirst("parentbased_".count)) : name {
        case "": self = .parentBased
        case "always_on": self = Sampler(ratio: 1, followsParent: followsParent)
        case "always_off": self = Sampler(ratio: 0, followsParent: followsParent)
        case "traceidratio":
            let argument = environment["OTEL_TRACES_SAMPLER_ARG"] ?? ""
            var ratio = 1.0
            if let given = Double(argument), given >= 0, given <= 1 {
                ratio = given
            } else if !argument.isEmpty {
                warnings.append("OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1; using 1")
            }
            self = Sampler(ratio: ratio, followsParent: followsParent)
        default:
            warnings.append(
                "OTEL_TRACES_SAMPLER: expected always_on, always_off, traceidratio or one of these after parentbased_; using parentbased_always_on"
            )
            self = .parentBased
        }
    }
}
