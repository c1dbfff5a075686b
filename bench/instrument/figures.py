"""What samples mean together: medians, spread, and ratios within a round.

In scope: statistics. Out of scope: making samples (measure and its neighbours), telling them (report, plots).
"""

from statistics import median

from .quiet import FOREIGN_CORES_MAX

# Stands for whichever peer costs least in a round.
CHEAPEST = "the cheapest peer"


class Figures:
    """The samples of one run."""

    def __init__(self, samples, peers):
        self.samples, self.peers = samples, tuple(peers)

    def scenarios(self):
        """Those that were measured, in the order of the first round."""
        return list(dict.fromkeys(sample.scenario for sample in self.samples))

    def proxies(self, scenario):
        """Those that were measured in a scenario, in a fixed order."""
        found = {sample.proxy for sample in self.samples if sample.scenario == scenario}
        known = list(dict.fromkeys(["floor", "gatekeeper", *self.peers]))
        return [name for name in known if name in found] + sorted(found - set(known))

    def own(self, scenario, proxy):
        """The samples of one proxy in one scenario."""
        return [sample for sample in self.samples if (sample.scenario, sample.proxy) == (scenario, proxy)]

    def values(self, scenario, proxy, field):
        """A figure in each round that has it, by round."""
        return {sample.round: getattr(sample, field) for sample in self.own(scenario, proxy)
                if getattr(sample, field) is not None}

    def median(self, scenario, proxy, field):
        """The median over the rounds; None where nobody measured it."""
        values = self.values(scenario, proxy, field).values()
        return median(values) if values else None

    def spread(self, scenario, proxy, field):
        """The least and the most; None where nobody measured it."""
        values = self.values(scenario, proxy, field).values()
        return (min(values), max(values)) if values else None

    def total(self, scenario, proxy, field):
        """The sum over the rounds."""
        return sum(self.values(scenario, proxy, field).values())

    def rivals(self, scenario, proxy, field):
        """As `values`, of a proxy or of the cheapest peer of each round."""
        if proxy != CHEAPEST:
            return self.values(scenario, proxy, field)
        least = {}
        for peer in self.peers:
            for number, value in self.values(scenario, peer, field).items():
                least[number] = min(value, least.get(number, value))
        return least

    def ratios(self, of, to, field):
        """The ratio in each round that has both; `of` and `to` are pairs of scenario and proxy."""
        own, rivals = self.rivals(*of, field), self.rivals(*to, field)
        return [own[number] / rivals[number] for number in sorted(own) if rivals.get(number)]

    def ratio(self, of, to, field="cpu_us"):
        """The median of the ratios; None where there is none. The machine's speed wanders, so a ratio of medians from
        different rounds would say less."""
        ratios = self.ratios(of, to, field)
        return median(ratios) if ratios else None

    def cheapest_peer(self, scenario, field="cpu_us"):
        """The name of the peer with the lowest median; None where there is none."""
        costs = {peer: self.median(scenario, peer, field) for peer in self.peers}
        costs = {peer: cost for peer, cost in costs.items() if cost is not None}
        return min(costs, key=costs.get) if costs else None

    def disturbed(self, scenario, proxy):
        """How many of how many measurements were disturbed."""
        shares = self.values(scenario, proxy, "foreign_cores").values()
        return sum(share > FOREIGN_CORES_MAX for share in shares), len(shares)
