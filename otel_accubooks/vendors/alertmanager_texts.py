"""What Alertmanager's notifications say: Go templates, with the functions that 0.25 has.

A notification is of one group: one alert of one service, firing or over for one or more of its pools,
queues or tiers. Times are UTC. What begins with $ is put in here, the rest by Alertmanager.
"""

from __future__ import annotations

import html
from string import Template

from otel_accubooks.contract.pipeline import TEST
from otel_accubooks.vendors.promql import SERVICE

_TIME = '.UTC.Format "2006-01-02 15:04:05"'
_PARTS = {
    "runbook": "{{ .CommonAnnotations.runbook_url }}",
    "began": f"since {{{{ .StartsAt{_TIME} }}}} UTC",
    "over": f"over since {{{{ .EndsAt{_TIME} }}}} UTC, began {{{{ .StartsAt{_TIME} }}}} UTC",
    # What tells one alert of a group from the next, such as its pool.
    "where": f'{{{{ range (.Labels.Remove (stringSlice "alertname" "severity" "escalation" "{SERVICE}"))'
    ".SortedPairs }}{{ .Name }} {{ .Value }}, {{ end }}",
    "respond": '{{ if eq .Status "firing" }}{{ with .CommonAnnotations.respond_within }}Look at it '
    '{{ if match "^[0-9]" . }}within {{ end }}{{ . }}. {{ end }}{{ end }}',
    # Slack reads these three as markup of its own.
    "escaped": 'reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;"',
    "colour": '{{ if eq .Status "firing" }}#b3261e{{ else }}#1e7b34{{ end }}',
}


def _filled(template: str, **parts: str) -> str:
    return Template(template).substitute(_PARTS, service=SERVICE, test=TEST, **parts)


HEADLINE = _filled(
    "{{ .CommonLabels.severity }} {{ .CommonLabels.alertname }}"
    "{{ with .CommonLabels.$test }} {{ . }}{{ end }}"
    "{{ with .CommonLabels.$service }} of {{ . }}{{ end }}: {{ .CommonAnnotations.summary }}"
)
TITLE = (
    "[{{ .Status | toUpper }}{{ if gt (len .Alerts.Firing) 1 }}:{{ len .Alerts.Firing }}{{ end }}] "
    + HEADLINE
)
SLACK_COLOUR = (
    '{{ if ne .Status "firing" }}good'
    '{{ else if match "P[01]" .CommonLabels.severity }}danger{{ else }}warning{{ end }}'
)

_SLACK = """\
{{ range .Alerts.Firing }}- $where$began
{{ .Annotations.description | $escaped }}
{{ end }}{{ range .Alerts.Resolved }}- $where$over
{{ end }}$respond<$runbook|Runbook> | <$application|Application>"""

_PLAIN = """\
$title

{{ range .Alerts.Firing }}- $where$began
  {{ .Annotations.description }}
{{ end }}{{ range .Alerts.Resolved }}- $where$over
{{ end }}
$respond
Runbook: $runbook
Application: $application
"""

# Mail programs know neither style sheets nor scripts.
_MAIL = """\
<div style="font-family:sans-serif;font-size:15px;line-height:1.5;color:#222;max-width:640px">
<h2 style="color:$colour;font-size:18px">$title</h2>
<ul>
{{ range .Alerts.Firing }}<li>$where$began<br><code>{{ .Annotations.description }}</code></li>
{{ end }}{{ range .Alerts.Resolved }}<li>$where$over</li>
{{ end }}</ul>
<p>$respond</p>
<p><a style="background:$colour;color:#fff;padding:8px 14px;text-decoration:none"
href="$runbook">Runbook</a> &nbsp; <a href="$application">Application</a></p>
</div>
"""


def slack(application: str) -> str:
    """The text of a message; `application` is the application's address, here and below."""
    return _filled(_SLACK, application=application)


def plain(application: str) -> str:
    """The text for who reads no markup: the phone's vendor, and the plain half of a mail."""
    return _filled(_PLAIN, application=application, title=TITLE)


def mail(application: str) -> str:
    """The HTML of a mail."""
    return _filled(_MAIL, application=html.escape(application), title=TITLE)
