"""A report about a deletion store on one page, for engineers, data-protection officers and auditors."""

from certified.service.report.collect import collect as collect
from certified.service.report.facts import Facts as Facts
from certified.service.report.page import to_html as to_html
