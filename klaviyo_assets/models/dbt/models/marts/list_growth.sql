{%- set joins_by_email = ['Subscribed to Email Marketing'] %}
{%- set leaves_by_email = ['Unsubscribed', 'Unsubscribed from Email Marketing'] %}
{%- set joins_by_text = ['Subscribed to SMS Marketing', 'Consented to Receive SMS'] %}
{%- set leaves_by_text = ['Unsubscribed from SMS'] %}
with people as (
    select
        person_id,
        source_relation,
        'email' as channel,
        email as address,
        email_consent as consent,
        email_consent_at as consent_at
    from {{ ref('stg_klaviyo__person_marketing') }}

    union all

    select
        person_id,
        source_relation,
        'text' as channel,
        phone_number as address,
        text_consent as consent,
        text_consent_at as consent_at
    from {{ ref('stg_klaviyo__person_marketing') }}
),

-- Each member by each channel that they have an address for.
members as (
    select
        list_person.list_id as list_id,
        list_person.person_id as person_id,
        list_person.source_relation as source_relation,
        list_person.joined_at as joined_at,
        list_person.missed_at as missed_at,
        people.channel as channel,
        people.consent as consent,
        people.consent_at as consent_at
    from {{ ref('stg_klaviyo__list_person') }} as list_person
    inner join people
        on people.person_id = list_person.person_id and people.source_relation = list_person.source_relation
    where people.address is not null
),

-- Who took themselves off a list did so then; of the others it is known when they were first missed.
what_happened as (
    select source_relation, list_id, channel, person_id, 'joined' as what, joined_at as happened_at
    from members

    union all

    select source_relation, list_id, 'email' as channel, person_id, 'left' as what, excluded_at as happened_at
    from {{ ref('stg_klaviyo__list_exclusion') }}

    union all

    select
        members.source_relation,
        members.list_id,
        members.channel,
        members.person_id,
        'left' as what,
        members.missed_at as happened_at
    from members
    left join {{ ref('stg_klaviyo__list_exclusion') }} as exclusion
        on members.channel = 'email'
        and exclusion.person_id = members.person_id
        and exclusion.list_id = members.list_id
        and exclusion.source_relation = members.source_relation
    where members.missed_at is not null and exclusion.person_id is null

    union all

    select
        members.source_relation,
        members.list_id,
        members.channel,
        members.person_id,
        'suppressed' as what,
        exclusion.excluded_at as happened_at
    from members
    inner join {{ ref('stg_klaviyo__global_exclusion') }} as exclusion
        on exclusion.person_id = members.person_id and exclusion.source_relation = members.source_relation
    where members.channel = 'email'

    union all

    select source_relation, list_id, channel, person_id, case consent when 'SUBSCRIBED' then 'consented' when 'UNSUBSCRIBED' then 'withdrew' end as what, consent_at as happened_at
    from members

    union all

    select
        source_relation,
        cast(null as {{ dbt.type_string() }}) as list_id,
        channel,
        person_id,
        case consent when 'SUBSCRIBED' then 'consented' when 'UNSUBSCRIBED' then 'withdrew' end as what,
        consent_at as happened_at
    from people

    union all

    select
        source_relation,
        cast(null as {{ dbt.type_string() }}) as list_id,
        'email' as channel,
        person_id,
        'suppressed' as what,
        excluded_at as happened_at
    from {{ ref('stg_klaviyo__global_exclusion') }}

    union all

    select
        source_relation,
        cast(null as {{ dbt.type_string() }}) as list_id,
        case when {{ is_any_metric('type', joins_by_text + leaves_by_text) }} then 'text' else 'email' end as channel,
        person_id,
        case when {{ is_any_metric('type', joins_by_email + joins_by_text) }} then 'joined' else 'left' end as what,
        occurred_at as happened_at
    from {{ ref('klaviyo__events') }}
    where {{ is_any_metric('type', joins_by_email + joins_by_text + leaves_by_email + leaves_by_text) }}
),

weeks as (
    select
        source_relation,
        list_id,
        channel,
        {{ first_day('week', day_of('happened_at')) }} as week_start,
        count(distinct case when what = 'joined' then person_id end) as people_joined,
        count(distinct case when what = 'left' then person_id end) as people_left,
        count(distinct case when what = 'suppressed' then person_id end) as people_suppressed,
        count(distinct case when what = 'consented' then person_id end) as people_consented,
        count(distinct case when what = 'withdrew' then person_id end) as people_withdrew
    from what_happened
    where happened_at is not null and what is not null
    group by source_relation, list_id, channel, {{ first_day('week', day_of('happened_at')) }}
)

select
    {{ surrogate_key(['weeks.source_relation', 'weeks.list_id', 'weeks.channel', 'weeks.week_start']) }} as list_growth_key,
    weeks.source_relation as source_relation,
    weeks.list_id as list_id,
    list.list_name as list_name,
    weeks.channel as channel,
    weeks.week_start as week_start,
    weeks.people_joined as people_joined,
    weeks.people_left as people_left,
    weeks.people_joined - weeks.people_left as people_gained,
    weeks.people_suppressed as people_suppressed,
    weeks.people_consented as people_consented,
    weeks.people_withdrew as people_withdrew
from weeks
left join {{ ref('stg_klaviyo__list') }} as list
    on list.list_id = weeks.list_id and list.source_relation = weeks.source_relation
