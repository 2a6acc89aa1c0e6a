"""The GraphQL documents that are sent to NerdGraph, each under a name of its own."""

from __future__ import annotations

POLICIES = """query policies($account: Int!, $cursor: String) {
  actor { account(id: $account) { alerts { policiesSearch(cursor: $cursor) {
    nextCursor policies { id name incidentPreference } } } } } }"""
CREATE_POLICY = """mutation createPolicy($account: Int!, $input: AlertsPolicyInput!) {
  alertsPolicyCreate(accountId: $account, policy: $input) { id } }"""
UPDATE_POLICY = """mutation updatePolicy($account: Int!, $id: ID!, $input: AlertsPolicyUpdateInput!) {
  alertsPolicyUpdate(accountId: $account, id: $id, policy: $input) { id } }"""
DELETE_POLICY = """mutation deletePolicy($account: Int!, $id: ID!) {
  alertsPolicyDelete(accountId: $account, id: $id) { id } }"""

CONDITIONS = """query conditions($account: Int!, $policy: ID!, $cursor: String) {
  actor { account(id: $account) { alerts {
    nrqlConditionsSearch(searchCriteria: {policyId: $policy}, cursor: $cursor) {
      nextCursor
      nrqlConditions {
        id name type enabled description runbookUrl violationTimeLimitSeconds
        nrql { query }
        terms { operator priority threshold thresholdDuration thresholdOccurrences }
        signal {
          aggregationWindow slideBy aggregationMethod aggregationDelay fillOption fillValue }
        expiration {
          expirationDuration openViolationOnExpiration closeViolationsOnExpiration
          ignoreOnExpectedTermination }
        ... on AlertsNrqlBaselineCondition { baselineDirection signalSeasonality }
      } } } } } }"""
CREATE_CONDITION = {
    "STATIC": """mutation createCondition(
  $account: Int!, $policy: ID!, $input: AlertsNrqlConditionStaticInput!) {
  alertsNrqlConditionStaticCreate(accountId: $account, policyId: $policy, condition: $input) {
    id } }""",
    "BASELINE": """mutation createCondition(
  $account: Int!, $policy: ID!, $input: AlertsNrqlConditionBaselineInput!) {
  alertsNrqlConditionBaselineCreate(accountId: $account, policyId: $policy, condition: $input) {
    id } }""",
}
UPDATE_CONDITION = {
    "STATIC": """mutation updateCondition(
  $account: Int!, $id: ID!, $input: AlertsNrqlConditionUpdateStaticInput!) {
  alertsNrqlConditionStaticUpdate(accountId: $account, id: $id, condition: $input) { id } }""",
    "BASELINE": """mutation updateCondition(
  $account: Int!, $id: ID!, $input: AlertsNrqlConditionUpdateBaselineInput!) {
  alertsNrqlConditionBaselineUpdate(accountId: $account, id: $id, condition: $input) { id } }""",
}
DELETE_CONDITION = """mutation deleteCondition($account: Int!, $id: ID!) {
  alertsConditionDelete(accountId: $account, id: $id) { id } }"""

_ERROR = """{
      ... on AiNotificationsResponseError { description details type }
      ... on AiNotificationsDataValidationError { details }
      ... on AiNotificationsSuggestionError { description details type }
      ... on AiNotificationsConstraintsError { constraints { name } } }"""
DESTINATIONS = """query destinations($account: Int!, $cursor: String) {
  actor { account(id: $account) { aiNotifications { destinations(cursor: $cursor) {
    nextCursor entities { id name type properties { key value } } } } } } }"""
CREATE_DESTINATION = f"""mutation createDestination(
  $account: Int!, $input: AiNotificationsDestinationInput!) {{
  aiNotificationsCreateDestination(accountId: $account, destination: $input) {{
    destination {{ id }} error {_ERROR} }} }}"""
UPDATE_DESTINATION = f"""mutation updateDestination(
  $account: Int!, $id: ID!, $input: AiNotificationsDestinationUpdate!) {{
  aiNotificationsUpdateDestination(accountId: $account, destinationId: $id, destination: $input) {{
    destination {{ id }} error {_ERROR} }} }}"""
DELETE_DESTINATION = """mutation deleteDestination($account: Int!, $id: ID!) {
  aiNotificationsDeleteDestination(accountId: $account, destinationId: $id) {
    ids error { description details type } } }"""

SLACK_CHANNELS = """query slackChannels($account: Int!, $destination: ID!, $name: String!) {
  actor { account(id: $account) { aiNotifications { suggestions(
    destinationId: $destination, channelType: SLACK, key: "channelId", constraints: [],
    filter: {type: CONTAINS, value: $name}) { entities { displayValue value } } } } } }"""
CHANNELS = """query channels($account: Int!, $cursor: String) {
  actor { account(id: $account) { aiNotifications { channels(cursor: $cursor) {
    nextCursor entities { id name type destinationId properties { key value } } } } } } }"""
CREATE_CHANNEL = f"""mutation createChannel($account: Int!, $input: AiNotificationsChannelInput!) {{
  aiNotificationsCreateChannel(accountId: $account, channel: $input) {{
    channel {{ id }} error {_ERROR} }} }}"""
UPDATE_CHANNEL = f"""mutation updateChannel(
  $account: Int!, $id: ID!, $input: AiNotificationsChannelUpdate!) {{
  aiNotificationsUpdateChannel(accountId: $account, channelId: $id, channel: $input) {{
    channel {{ id }} error {_ERROR} }} }}"""
DELETE_CHANNEL = """mutation deleteChannel($account: Int!, $id: ID!) {
  aiNotificationsDeleteChannel(accountId: $account, channelId: $id) {
    ids error { description details type } } }"""

WORKFLOWS = """query workflows($account: Int!, $cursor: String) {
  actor { account(id: $account) { aiWorkflows { workflows(cursor: $cursor) {
    nextCursor
    entities {
      id name workflowEnabled destinationsEnabled enrichmentsEnabled mutingRulesHandling
      issuesFilter { id name type predicates { attribute operator values } }
      destinationConfigurations { channelId notificationTriggers } } } } } } }"""
CREATE_WORKFLOW = """mutation createWorkflow(
  $account: Int!, $input: AiWorkflowsCreateWorkflowInput!) {
  aiWorkflowsCreateWorkflow(accountId: $account, createWorkflowData: $input) {
    workflow { id } errors { description type } } }"""
UPDATE_WORKFLOW = """mutation updateWorkflow(
  $account: Int!, $input: AiWorkflowsUpdateWorkflowInput!) {
  aiWorkflowsUpdateWorkflow(
    accountId: $account, deleteUnusedChannels: false, updateWorkflowData: $input) {
    workflow { id } errors { description type } } }"""
DELETE_WORKFLOW = """mutation deleteWorkflow($account: Int!, $id: ID!) {
  aiWorkflowsDeleteWorkflow(accountId: $account, deleteChannels: false, id: $id) {
    id errors { description type } } }"""

OURS = """query ours($query: String!, $cursor: String) {
  actor { entitySearch(query: $query) { results(cursor: $cursor) {
    nextCursor
    entities {
      guid name type accountId tags { key values }
      ... on DashboardEntityOutline { dashboardParentGuid }
      ... on SyntheticMonitorEntityOutline { monitoredUrl period } } } } } }"""
TAG = """mutation tag($guid: EntityGuid!, $tags: [TaggingTagInput!]!) {
  taggingAddTagsToEntity(guid: $guid, tags: $tags) { errors { message type } } }"""

DASHBOARD = """query dashboard($guid: EntityGuid!) {
  actor { entity(guid: $guid) { ... on DashboardEntity {
    name description permissions
    pages {
      guid name description
      widgets {
        title visualization { id } layout { column row width height } rawConfiguration } } } } } }"""
CREATE_DASHBOARD = """mutation createDashboard($account: Int!, $input: DashboardInput!) {
  dashboardCreate(accountId: $account, dashboard: $input) {
    entityResult { guid } errors { description type } } }"""
UPDATE_DASHBOARD = """mutation updateDashboard($id: EntityGuid!, $input: DashboardInput!) {
  dashboardUpdate(guid: $id, dashboard: $input) {
    entityResult { guid } errors { description type } } }"""
DELETE_DASHBOARD = """mutation deleteDashboard($id: EntityGuid!) {
  dashboardDelete(guid: $id) { status errors { description type } } }"""

CREATE_MONITOR = """mutation createMonitor(
  $account: Int!, $input: SyntheticsCreateSimpleMonitorInput!) {
  syntheticsCreateSimpleMonitor(accountId: $account, monitor: $input) {
    monitor { guid } errors { description type } } }"""
UPDATE_MONITOR = """mutation updateMonitor($id: EntityGuid!, $input: SyntheticsUpdateSimpleMonitorInput!) {
  syntheticsUpdateSimpleMonitor(guid: $id, monitor: $input) {
    monitor { guid } errors { description type } } }"""
DELETE_MONITOR = """mutation deleteMonitor($id: EntityGuid!) {
  syntheticsDeleteMonitor(guid: $id) { deletedGuid } }"""
